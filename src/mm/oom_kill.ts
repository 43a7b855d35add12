// SPDX-License-Identifier: GPL-2.0-only
/**
 * The OOM killer (mm/oom_kill.c): when nothing can be reclaimed, the process with most memory and
 * swap dies, and its CPU frees what it had; if it cannot, the OOM reaper does (oom_reap.ts).
 *
 * One victim at a time: while one is on its way out, others wait for its memory instead of killing
 * more. The caller of outOfMemory holds no lock but, perhaps, its own mmap_lock for reading; the
 * victim needs none of the caller's locks to die.
 */

import { shouldFail } from '../../shared/fault.ts';
import { ktimeSharedMs } from '../../shared/ktime.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import { WAKE_ALL, waitFinish, waitPrepare, waitSleep, wakeUp } from '../../shared/wait_queue.ts';
import { cgroupPath } from './cgroup_names.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import { kshrinkdPutbackAll } from './kshrinkd_step.ts';
import { LC_OOM } from './lock_order.ts';
import { memcgEvent } from './memcg_events.ts';
import { mmWithin } from './memcg_task.ts';
import { drainAllStock } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { MMF_EXITING, MMF_OOM_SKIP, MMF_OOM_VICTIM } from './mm_types.ts';
import { drainAllPages } from './page_alloc.ts';
import { hasTaskOn, wakeTasksOf } from './runqueue.ts';
import { memInfoLine } from './show_mem.ts';
import { lruAddDrainAll } from './swap.ts';
import { nrSwapPages } from './swapfile.ts';
import { EV } from './vmstat_items.ts';

/** Words of the oom row: 0 lock, 1 reports written. */
const OOM_REPORTS = 1;
/** Bytes of one report in oomRecord; the first 16 are kept. */
export const OOM_REPORT_BYTES = 4096;
const OOM_REPORTS_MAX = 16;
/** How long a task that lost the race waits before it looks again: a jiffy. */
const OOM_WAIT_MS = 4;

/**
 * Badness: mapped pages, swap entries and page tables (oom_badness). -1 when it cannot be chosen.
 */
function oomBadness(m: Mm, mm: number): number {
  const flags = Atomics.load(m.mm.flags, mm);
  if (Atomics.load(m.mm.users, mm) === 0 || (flags & (MMF_OOM_SKIP | MMF_EXITING)) !== 0) return -1;
  const rss = Atomics.load(m.mm.rssAnon, mm) + Atomics.load(m.mm.rssFile, mm);
  return rss + Atomics.load(m.mm.swapEnts, mm) + Atomics.load(m.mm.nrTables, mm);
}

/** What `selectBadProcess` saw of the one it chose: another life of its row has others. */
let chosenFlags = 0;

/** A victim that has not given its memory back yet, within the group's subtree; 0 for none. */
function pendingVictim(m: Mm, memcg: number): number {
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    const flags = Atomics.load(m.mm.flags, mm);
    if ((flags & MMF_OOM_VICTIM) === 0 || (flags & MMF_OOM_SKIP) !== 0) continue;
    if (mmWithin(m, mm, memcg)) return mm;
  }
  return 0;
}

function selectBadProcess(m: Mm, memcg: number): number {
  let chosen = 0;
  let worst = -1;
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    if (!mmWithin(m, mm, memcg)) continue;
    const flags = Atomics.load(m.mm.flags, mm);
    const points = oomBadness(m, mm);
    if (points > worst) {
      chosenFlags = flags;
      worst = points;
      chosen = mm;
    }
  }
  return worst < 0 ? 0 : chosen;
}

/**
 * One process of them.
 * @param seen its flags when it was chosen: another life of its row has others
 * @returns false when it has ended meanwhile, or begun to: its memory comes back without a kill
 * @context oom_lock held
 */
function kill(m: Mm, victim: number, seen: number): boolean {
  const killed = seen | MMF_OOM_VICTIM;
  if (Atomics.compareExchange(m.mm.flags, victim, seen, killed) !== seen) return false;
  // Where it sleeps, it must hear of it.
  wakeTasksOf(m, victim);
  const { events } = m.task;
  events[EV.oom_kill] = (events[EV.oom_kill] as number) + 1;
  wakeUp(m.oomReapWait, 0);
  rcuReadLock();
  memcgEvent(m, Atomics.load(m.mm.memcg, victim), 'eventsOomKill');
  rcuReadUnlock();
  return true;
}

/**
 * The highest group of a victim's, at or below the one that is full, that dies as a whole
 * (memory.oom.group; mem_cgroup_get_oom_group).
 * @returns 0 for none
 */
function oomGroup(m: Mm, victim: number, memcg: number): number {
  let found = 0;
  rcuReadLock();
  for (let group = Atomics.load(m.mm.memcg, victim); group !== 0; ) {
    if (Atomics.load(m.memcg.oomGroup, group) === 1) found = group;
    if (group === memcg) break;
    group = m.memcg.parent[group] as number;
  }
  rcuReadUnlock();
  return found;
}

/** @context oom_lock held */
function oomKillProcess(m: Mm, victim: number, memcg: number): void {
  const group = oomGroup(m, victim, memcg);
  if (!kill(m, victim, chosenFlags)) return;
  writeReport(m, victim, memcg);
  if (group !== 0) {
    memcgEvent(m, group, 'eventsOomGroupKill');
    for (let mm = 1; mm < m.sizes.nrMms; mm++) {
      const seen = Atomics.load(m.mm.flags, mm);
      if (mm === victim || oomBadness(m, mm) < 0 || !mmWithin(m, mm, group)) continue;
      kill(m, mm, seen);
    }
  }
  const { events } = m.task;
  if (memcg !== 0) {
    events[EV.kr_memcg_oom] = (events[EV.kr_memcg_oom] as number) + 1;
    memcgEvent(m, memcg, 'eventsOom');
  }
}

/**
 * Takes back what other threads keep for themselves: pages in their LRU batches, or that wait for
 * kshrinkd, cannot be isolated, and stocks and pcp lists are memory that nobody else can use.
 * Before killing, one more try.
 */
export function drainBeforeOom(m: Mm): void {
  kshrinkdPutbackAll(m, 0);
  drainCaches(m);
}

/** As `drainBeforeOom`, but for what waits for kshrinkd. */
export function drainCaches(m: Mm): void {
  lruAddDrainAll(m, false);
  drainAllStock(m, false);
  drainAllPages(m, false);
}

/**
 * Nothing can be reclaimed: kill, or wait for who is dying already.
 * @param memcg group at whose limit it happened; 0 for the machine
 * @returns whether the caller should try again
 * @context may block a little; no spinlock and no folio lock held
 */
export function outOfMemory(m: Mm, memcg: number): boolean {
  if (shouldFail(FAULT_TRYLOCK) || !spinTryLock(m.oom, 0, LC_OOM)) {
    waitForVictim(m);
    return true;
  }
  let victim = pendingVictim(m, memcg);
  if (victim === 0) {
    victim = selectBadProcess(m, memcg);
    if (victim !== 0) oomKillProcess(m, victim, memcg);
  }
  spinUnlock(m.oom, 0, LC_OOM);
  if (victim === 0) return false;
  if (selfIsVictim(m)) return true;
  // It cannot end before the caller's task has given way: the fault fails, and its CPU sees to it.
  if (m.task.cpu >= 0 && hasTaskOn(m, victim, m.task.cpu)) return false;
  waitForVictim(m);
  return true;
}

/** As outOfMemory, for a full group. @returns false when the charge must fail */
export function memcgOutOfMemory(m: Mm, memcg: number): boolean {
  return outOfMemory(m, memcg) && !selfIsVictim(m);
}

function selfIsVictim(m: Mm): boolean {
  return m.task.mm !== 0 && (Atomics.load(m.mm.flags, m.task.mm) & MMF_OOM_VICTIM) !== 0;
}

/** Sleeps a jiffy, or until a victim's memory is back (exitMm and the OOM reaper wake). */
function waitForVictim(m: Mm): void {
  const seq = waitPrepare(m.exitWait, 0);
  waitSleep(m.exitWait, 0, seq, OOM_WAIT_MS);
  waitFinish(m.exitWait, 0);
}

/** Called by the victim when its memory is free. */
export function oomVictimDone(m: Mm, mm: number): void {
  Atomics.or(m.mm.flags, mm, MMF_OOM_SKIP);
  wakeUp(m.exitWait, 0, WAKE_ALL);
}

/** The report, in the kernel's style, into the next free record. @context oom_lock held */
function writeReport(m: Mm, victim: number, memcg: number): void {
  const index = Atomics.load(m.oom, OOM_REPORTS);
  Atomics.store(m.oom, OOM_REPORTS, index + 1);
  if (index >= OOM_REPORTS_MAX) return;
  const page = (pages: number): string => `${pages * 4}kB`;
  const comm = processComm(m, victim);
  rcuReadLock();
  const group = cgroupPath(m, Atomics.load(m.mm.memcg, victim));
  rcuReadUnlock();
  const rows: string[] = [
    `${processComm(m, m.task.mm)} invoked oom-killer: ` +
      'gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
    memInfoLine(m),
    `Free swap  = ${page(nrSwapPages(m))}`,
    `Total swap = ${page(Math.max(m.sizes.nrSlots - 1, 0))}`,
    'Tasks state (memory values in pages):',
    '[  pid  ]      rss  swapents pgtables name',
  ];
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    if (Atomics.load(m.mm.users, mm) === 0) continue;
    const column = (value: number, width: number): string => String(value).padStart(width);
    rows.push(
      `[${column(mm, 7)}] ${column(Atomics.load(m.mm.rssAnon, mm), 8)} ` +
        `${column(Atomics.load(m.mm.swapEnts, mm), 9)} ` +
        `${column(Atomics.load(m.mm.nrTables, mm), 8)} ` +
        processComm(m, mm),
    );
  }
  const constraint = memcg === 0 ? 'CONSTRAINT_NONE' : 'CONSTRAINT_MEMCG';
  rows.push(
    `oom-kill:constraint=${constraint},task_memcg=${group},task=${comm},pid=${victim},uid=0`,
    `${memcg === 0 ? 'Out of memory' : 'Memory cgroup out of memory'}: Killed process ${victim} ` +
      `(${comm}) anon-rss:${page(Atomics.load(m.mm.rssAnon, victim))}, ` +
      `swapents:${page(Atomics.load(m.mm.swapEnts, victim))}, at ${Math.round(ktimeSharedMs())} ms`,
  );
  const text = rows.join('\n');
  const base = index * OOM_REPORT_BYTES;
  for (let i = 0; i < OOM_REPORT_BYTES; i++) {
    m.oomRecord[base + i] =
      i < text.length && i < OOM_REPORT_BYTES - 1 ? text.charCodeAt(i) & 127 : 0;
  }
}

/** @returns the name of the process that owns an mm; mm 0 is a kernel thread */
export function processComm(m: Mm, mm: number): string {
  return mm === 0 ? 'kthread' : (m.config.processes[mm - 1]?.comm ?? `process${mm}`);
}

/** Reports written so far, oldest first, 16 at most. @context quiescent, or between kills */
export function oomReports(m: Mm): string[] {
  const count = Math.min(Atomics.load(m.oom, OOM_REPORTS), OOM_REPORTS_MAX);
  const reports: string[] = [];
  for (let index = 0; index < count; index++) {
    let text = '';
    for (let i = index * OOM_REPORT_BYTES; m.oomRecord[i] !== 0; i++) {
      text += String.fromCharCode(m.oomRecord[i] as number);
    }
    reports.push(text);
  }
  return reports;
}
