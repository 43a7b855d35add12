// SPDX-License-Identifier: GPL-2.0-only
/**
 * The OOM reaper's work (mm/oom_kill.c, oom_reap_task): a victim that does not die, because it
 * waits for something, loses its memory all the same.
 *
 * The queue is the table of address spaces: a victim waits there until its memory is gone, be it
 * that it has ended by itself, which wins, or that the reaper took it. Only mmap_lock for reading
 * is taken, and only tried: who holds it for writing may be waiting for memory. A victim that is
 * not exiting cannot end while we hold it, as exit takes it for writing.
 *
 * Pages come from the page tables, not from VMAs: of a child that is being forked, these are not
 * guarded by its own mmap_lock.
 */
import { shouldFail } from '../../shared/fault.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { zapTables } from './exit_mm.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import type { Mm } from './mm.ts';
import {
  MMF_EXITING,
  MMF_LIFE_SHIFT,
  MMF_OOM_SKIP,
  MMF_OOM_VICTIM,
  MMF_UNSTABLE,
} from './mm_types.ts';
import { mmapReadUnlock, mmapTryReadLock } from './mmap.ts';
import { EV } from './vmstat_items.ts';

/** A victim has so long to end by itself (OOM_REAPER_DELAY, 2 HZ), in ms. */
export const OOM_REAPER_DELAY_MS = 2000;
/** Tries for mmap_lock, and the time between two (HZ / 10), in ms. */
const REAP_TRIES = 10;
const RETRY_MS = 100;

/** A victim that is to lose its memory: it has not yet, and does not exit. */
function queued(flags: number): boolean {
  return (flags & (MMF_OOM_VICTIM | MMF_OOM_SKIP | MMF_EXITING)) === MMF_OOM_VICTIM;
}

/**
 * Hides an address space from the OOM killer, and wakes those who wait for its memory.
 * @param life of its row: another life is not touched
 */
function hide(m: Mm, mm: number, life: number): void {
  for (;;) {
    const flags = Atomics.load(m.mm.flags, mm);
    if (flags >>> MMF_LIFE_SHIFT !== life) return;
    if (Atomics.compareExchange(m.mm.flags, mm, flags, flags | MMF_OOM_SKIP) === flags) break;
  }
  wakeUp(m.exitWait, 0, WAKE_ALL);
}

/**
 * Takes a victim's memory, unless it exits by itself.
 * @param life of its row, when it was seen to be a victim
 * @returns false when its mmap_lock is held for writing: try again
 * @context a kthread, holding no lock; tries mmap_lock for reading; then as zapEntries
 */
export function oomReapTask(m: Mm, mm: number, life: number): boolean {
  if (shouldFail(FAULT_TRYLOCK) || !mmapTryReadLock(m, mm)) return false;
  const flags = Atomics.load(m.mm.flags, mm);
  if (queued(flags) && flags >>> MMF_LIFE_SHIFT === life) {
    // Before the first page goes: a fault must not find a hole and fill it anew.
    Atomics.or(m.mm.flags, mm, MMF_UNSTABLE);
    zapTables(m, mm, m.mm.pgd[mm] as number, 3);
    m.task.events[EV.kr_oom_reaped] = (m.task.events[EV.kr_oom_reaped] as number) + 1;
    hide(m, mm, life);
  }
  mmapReadUnlock(m, mm);
  return true;
}

/** What the reaper knows of the victims that it has seen. @context its own thread */
export class OomReaper {
  readonly #m: Mm;
  /** Life of the row's victim, plus 1; 0 for none. */
  readonly #lives: Int32Array;
  /** When to try next, in ms. */
  readonly #dueMs: Float64Array;
  readonly #tries: Int32Array;

  constructor(m: Mm) {
    this.#m = m;
    this.#lives = new Int32Array(m.sizes.nrMms);
    this.#dueMs = new Float64Array(m.sizes.nrMms);
    this.#tries = new Int32Array(m.sizes.nrMms);
  }

  /** Is there a victim that no pass has seen? */
  hasNew(): boolean {
    for (let mm = 1; mm < this.#m.sizes.nrMms; mm++) {
      const flags = Atomics.load(this.#m.mm.flags, mm);
      if (queued(flags) && this.#lives[mm] !== (flags >>> MMF_LIFE_SHIFT) + 1) return true;
    }
    return false;
  }

  /**
   * Reaps the victims that are due.
   * @returns ms until another will be; Infinity for never
   * @context as oomReapTask
   */
  pass(): number {
    let nextMs = Infinity;
    for (let mm = 1; mm < this.#m.sizes.nrMms; mm++) {
      const flags = Atomics.load(this.#m.mm.flags, mm);
      if (queued(flags)) nextMs = Math.min(nextMs, this.#look(mm, flags >>> MMF_LIFE_SHIFT));
    }
    return nextMs;
  }

  /** @returns ms until this victim is due again; Infinity when it is done */
  #look(mm: number, life: number): number {
    const nowMs = ktimeNs() / 1e6;
    if (this.#lives[mm] !== life + 1) {
      this.#lives[mm] = life + 1;
      this.#dueMs[mm] = nowMs + OOM_REAPER_DELAY_MS;
      this.#tries[mm] = 0;
    }
    const leftMs = (this.#dueMs[mm] as number) - nowMs;
    if (leftMs > 0) return leftMs;
    if (oomReapTask(this.#m, mm, life)) return Infinity;
    this.#tries[mm] = (this.#tries[mm] as number) + 1;
    if (this.#tries[mm] === REAP_TRIES) {
      // Nobody is to wait for it any longer: another may be chosen.
      hide(this.#m, mm, life);
      return Infinity;
    }
    this.#dueMs[mm] = nowMs + RETRY_MS;
    return RETRY_MS;
  }
}
