// SPDX-License-Identifier: MIT
/**
 * Sleepable RCU: readers may sleep, and pay two atomic stores per section for it. Domains are
 * independent: a sleeping reader holds up its own domain only.
 *
 * Each thread counts the sections that it entered and left, twice: once per value of the domain's
 * index. synchronizeSrcu flips the index, so that new readers count elsewhere, and waits until the
 * old side has as many leaves as enters.
 *
 *   index   a reader enters on   synchronizeSrcu waits for
 *   0       side 0               side 1 to drain, flips to 1, then side 0 to drain
 *   1       side 1               side 0 to drain, flips to 0, then side 1 to drain
 *
 * Why twice: a reader may read the index, be delayed, and count on the old side after a flip was
 * waited for. It began before the *next* synchronizeSrcu, which waits for that side first.
 * Why leaves are summed before enters: a leave that is counted then has its enter counted too, so
 * the sums agree only when every enter that was counted has left.
 *
 * Callers share grace periods: each notes which one must have ended for its sake, and those that
 * wait for the same one find it done by the first. A domain may be paced, as the kernel's domains
 * are (kernel/rcu/srcutree.c): a grace period that is wanted while another runs, or within
 * EXPEDITE_US of the last one's end, is no isolated one; it starts a pace late and its callers hear
 * of it a pace late, so that many updaters share few grace periods. A kernel's pace is a jiffy.
 *
 * Guarantees: (A) as RCU's: after synchronizeSrcu no section that began before it still runs; (B) a
 * thread that died in a section is recorded in `dead` and no longer waited for.
 * Progress: readers wait-free; synchronizeSrcu blocks on readers and on other callers of the
 * domain. A section ends in the thread that began it.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { mutexLock, mutexUnlock } from './atomics_mutex.ts';
import { spinWhileEqual } from './cpu_relax.ts';
import { ktimeSharedMs } from './ktime.ts';
import { PARK_CHECK_MS, THREADS_MAX } from './limits.ts';
import { rcuMightSleep } from './rcu_state.ts';
import { scheduleTimeout } from './sched.ts';
import { self, threadAlive, WAIT_RCU } from './thread.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';
import { waitFinish, waitPrepare, waitSleep, wakeUp } from './wait_queue.ts';

const SRCU_COLUMNS = {
  counts: 'i32', // @owner thread of the row, by Atomics: ENTER and LEAVE per side
} as const;

// Words of a domain.
const INDEX = 0; // @atomic sections enter on side index & 1
const QUEUE = LINE_WORDS; // @atomic wait queue of synchronizeSrcu
/** For reports, which look who holds it. */
export const SRCU_MUTEX = 2 * LINE_WORDS; // @atomic one synchronizeSrcu at a time
const NR_ROWS = 2 * LINE_WORDS + 1; // @atomic highest id that ever entered, plus 1
const DEAD = 2 * LINE_WORDS + 2; // @atomic sections abandoned by dead threads
const GP_SEQ = 2 * LINE_WORDS + 3; // @atomic odd while a grace period runs; two for each
const LAST_END = 2 * LINE_WORDS + 4; // @atomic us of the shared clock when the last one ended
const DOMAIN_WORDS = 3 * LINE_WORDS;

/** After so long without a grace period, in us, the next is not paced. From the kernel. */
const EXPEDITE_US = 25;

// Words of a thread's row: enters and leaves of side 0, then of side 1.
const ENTER = 0;
const LEAVE = 1;
const SIDE = 2;

export interface SrcuTable {
  readonly words: I32; // @atomic words of the domain
  readonly counts: I32;
}

/** @param name unique in the arena */
export function declareSrcu(builder: ArenaBuilder, name: string): SrcuTable {
  const { words } = builder.columns(`${name}.words`, { words: 'i32' }, DOMAIN_WORDS);
  const { counts } = builder.columns(name, SRCU_COLUMNS, THREADS_MAX * LINE_WORDS);
  return { words, counts };
}

/** A thread's handle on a domain. */
export class SrcuDomain {
  readonly #words: I32;
  readonly #counts: I32;
  readonly #cls: number;
  readonly #id: number;
  readonly #paceMs: number;

  /**
   * @param cls lock class of the domain's mutex
   * @param id this thread's id
   * @param paceMs how late grace periods that are not isolated start and are heard of; 0 for none
   */
  constructor(table: SrcuTable, cls = 0, id = self.id, paceMs = 0) {
    assert(id > 0 && id < THREADS_MAX, 'SRCU thread id out of range');
    this.#words = table.words;
    this.#counts = table.counts;
    this.#cls = cls;
    this.#id = id;
    this.#paceMs = paceMs;
    for (;;) {
      const nr = Atomics.load(this.#words, NR_ROWS);
      if (nr > id || Atomics.compareExchange(this.#words, NR_ROWS, nr, id + 1) === nr) break;
    }
  }

  /**
   * Enters a section. Sections nest and overlap.
   * @returns the side, to be given to `readUnlock`
   * @context the owning thread; it may sleep inside
   */
  readLock(): number {
    const side = Atomics.load(this.#words, INDEX) & 1;
    const at = this.#id * LINE_WORDS + side * SIDE + ENTER;
    // Only this thread writes the row, so a store publishes the increment; no read-modify-write.
    // PAIRS(srcu-enter): before every read of the section
    Atomics.store(this.#counts, at, ((this.#counts[at] as number) + 1) | 0);
    return side;
  }

  /** Leaves a section. @param side what `readLock` returned @context the thread that entered it */
  readUnlock(side: number): void {
    const at = this.#id * LINE_WORDS + side * SIDE + LEAVE;
    const left = ((this.#counts[at] as number) + 1) | 0;
    const enter = this.#counts[at + ENTER - LEAVE] as number;
    assert(((enter - left) | 0) >= 0, 'SRCU readUnlock without readLock on that side');
    Atomics.store(this.#counts, at, left); // PAIRS(srcu-leave): after every read of the section
    wakeUp(this.#words, QUEUE);
  }

  /**
   * Waits until every section that has begun by now has ended.
   * @context may park; not inside a section of this domain, nor inside an RCU reader. A pace is a
   *          sleep that a pending request of the machine ends, and nothing outside a machine
   */
  synchronize(): void {
    const pace = this.#paceMs > 0 && !this.#isolated();
    this.#gracePeriod(pace);
    if (pace) scheduleTimeout(this.#paceMs);
  }

  /** @returns true when nobody else wants a grace period, nor did a moment ago */
  #isolated(): boolean {
    const words = this.#words;
    if ((Atomics.load(words, GP_SEQ) & 1) !== 0) return false;
    const elapsed = (microseconds() - Atomics.load(words, LAST_END)) >>> 0;
    return elapsed >= EXPEDITE_US;
  }

  #gracePeriod(pace: boolean): void {
    rcuMightSleep();
    this.#assertOutside();
    const words = this.#words;
    // The end of the first one that starts after this: the next, or the one after the running one.
    const wanted = (Atomics.load(words, GP_SEQ) + 3) & ~1;
    mutexLock(words, SRCU_MUTEX, this.#cls);
    try {
      if (((Atomics.load(words, GP_SEQ) - wanted) | 0) >= 0) return; // others did it
      this.#drainBoth(pace);
    } finally {
      mutexUnlock(words, SRCU_MUTEX, this.#cls);
    }
  }

  /** A grace period. @context the mutex is held. One that throws has not been */
  #drainBoth(pace: boolean): void {
    const words = this.#words;
    const seq = Atomics.add(words, GP_SEQ, 1);
    let ended = seq;
    try {
      if (pace) scheduleTimeout(this.#paceMs);
      const side = Atomics.load(words, INDEX) & 1;
      this.#drain(side ^ 1); // readers that were delayed across the last flip
      Atomics.store(words, INDEX, side ^ 1);
      this.#drain(side);
      ended = (seq + 2) | 0;
    } finally {
      Atomics.store(words, LAST_END, microseconds());
      Atomics.store(words, GP_SEQ, ended);
    }
  }

  /** Sections that threads left open by dying. */
  get dead(): number {
    return Atomics.load(this.#words, DEAD);
  }

  #assertOutside(): void {
    const row = this.#id * LINE_WORDS;
    const counts = this.#counts;
    const inside =
      counts[row + ENTER] !== counts[row + LEAVE] ||
      counts[row + SIDE + ENTER] !== counts[row + SIDE + LEAVE];
    assert(!inside, 'synchronizeSrcu inside a section of its domain');
  }

  #drain(side: number): void {
    const words = this.#words;
    if (this.#drained(side)) return;
    for (;;) {
      const seq = waitPrepare(words, QUEUE);
      try {
        if (this.#drained(side)) return;
        spinWhileEqual(words, QUEUE, seq);
        if (waitSleep(words, QUEUE, seq, PARK_CHECK_MS, WAIT_RCU)) continue;
        this.#buryDead(side);
      } finally {
        waitFinish(words, QUEUE);
      }
    }
  }

  /** @returns true when the side has no reader */
  #drained(side: number): boolean {
    const nr = Math.min(Atomics.load(this.#words, NR_ROWS), THREADS_MAX);
    const at = side * SIDE;
    let sum = 0;
    // PAIRS(srcu-leave): all leaves first
    for (let id = 1; id < nr; id++) sum -= Atomics.load(this.#counts, id * LINE_WORDS + at + LEAVE);
    // PAIRS(srcu-enter): then all enters
    for (let id = 1; id < nr; id++) sum += Atomics.load(this.#counts, id * LINE_WORDS + at + ENTER);
    return (sum | 0) === 0;
  }

  /** Closes the open sections of threads that are gone. */
  #buryDead(side: number): void {
    const nr = Math.min(Atomics.load(this.#words, NR_ROWS), THREADS_MAX);
    for (let id = 1; id < nr; id++) {
      const at = id * LINE_WORDS + side * SIDE;
      const enter = Atomics.load(this.#counts, at + ENTER);
      const leave = Atomics.load(this.#counts, at + LEAVE);
      if (enter === leave || threadAlive(id)) continue;
      Atomics.store(this.#counts, at + LEAVE, enter);
      Atomics.add(this.#words, DEAD, (enter - leave) | 0);
    }
  }
}

/** @returns the shared clock, modulo 2^32 */
function microseconds(): number {
  return Math.floor(ktimeSharedMs() * 1e3) | 0;
}
