// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pressure stall information for memory (kernel/sched/psi.c): how long some, and how long all, of
 * the threads that have work waited for memory, for the machine and for each group.
 *
 *   some  at least one thread is stalled
 *   full  at least one is, and nobody does anything else: no thread that runs a program is not
 *         stalled. Daemons that reclaim are stalled threads, never productive ones
 *
 * A thread is stalled in direct reclaim, in reclaim at a limit, throttled there and by memory.high,
 * and as kswapd that reclaims. States change under the row's lock, which
 * adds the time since the last change to what held until then.
 */
import { ktimeSharedMs } from '../../shared/ktime.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { LC_PSI } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** One row per group; times in us, averages in percent. */
export const PSI_COLUMNS = {
  stalled: 'i32', // @guardedBy psi  threads that wait for memory
  productive: 'i32', // @guardedBy psi  threads that run a program, and do not
  sinceUs: 'f64', // @guardedBy psi  when these changed last
  some: 'f64', // @guardedBy psi  total
  full: 'f64', // @guardedBy psi  total
  averagedUs: 'f64', // @guardedBy psi  when the averages were last worked out
  someBefore: 'f64', // @guardedBy psi  totals at that time
  fullBefore: 'f64', // @guardedBy psi
  some10: 'f64', // @guardedBy psi
  some60: 'f64', // @guardedBy psi
  some300: 'f64', // @guardedBy psi
  full10: 'f64', // @guardedBy psi
  full60: 'f64', // @guardedBy psi
  full300: 'f64', // @guardedBy psi
} as const;

/** The averages are worked out every so many us. */
const PERIOD_US = 2e6;
/** What is left of an average after a period without stalls: e^(-2/10), e^(-2/60), e^(-2/300). */
const DECAY = { 10: 0.8187307530779818, 60: 0.9672161004820059, 300: 0.9933555062550344 } as const;
/** After so many periods nothing is left of the longest. */
const PERIODS_MAX = 3000;
const WINDOWS = [10, 60, 300] as const;

const nowUs = (): number => ktimeSharedMs() * 1e3;

/** Adds the time since the last change to what held until now. @context psi held */
function account(m: Mm, row: number, now: number): void {
  const { stalled, productive, sinceUs, some, full } = m.psi;
  const since = sinceUs[row] as number;
  // Clocks of threads may differ by a little.
  const elapsed = since === 0 ? 0 : Math.max(now - since, 0);
  sinceUs[row] = Math.max(now, since);
  if ((stalled[row] as number) === 0) return;
  some[row] = (some[row] as number) + elapsed;
  if ((productive[row] as number) === 0) full[row] = (full[row] as number) + elapsed;
}

/** Takes the period that ends now into the averages. @context psi held, accounted */
function average(m: Mm, row: number): void {
  for (const kind of ['some', 'full'] as const) {
    const before = m.psi[`${kind}Before`];
    const total = m.psi[kind][row] as number;
    const share = (100 * Math.min(total - (before[row] as number), PERIOD_US)) / PERIOD_US;
    before[row] = total;
    for (const window of WINDOWS) {
      const column = m.psi[`${kind}${window}`];
      column[row] = (column[row] as number) * DECAY[window] + share * (1 - DECAY[window]);
    }
  }
}

/**
 * Brings totals and averages up to now: period by period, as the kernel's worker does, so that a
 * stall without any change counts in each period that it spans. @context psi held
 */
function update(m: Mm, row: number, now: number): void {
  const { averagedUs } = m.psi;
  const first = Math.max(averagedUs[row] as number, now - PERIODS_MAX * PERIOD_US);
  let at = averagedUs[row] === 0 ? now : first;
  for (; at + PERIOD_US <= now; average(m, row)) {
    at += PERIOD_US;
    account(m, row, at);
  }
  averagedUs[row] = at;
  account(m, row, now);
}

/** Changes the state of a group and those above it. */
function change(m: Mm, memcg: number, stalled: number, productive: number): void {
  const now = nowUs();
  for (let row = memcg; ; row = m.memcg.parent[row] as number) {
    spinLock(m.psiLock, row * LINE_WORDS, LC_PSI);
    update(m, row, now);
    m.psi.stalled[row] = (m.psi.stalled[row] as number) + stalled;
    m.psi.productive[row] = (m.psi.productive[row] as number) + productive;
    spinUnlock(m.psiLock, row * LINE_WORDS, LC_PSI);
    if (row === 0) return;
  }
}

/**
 * The thread waits for memory from here on. Nests.
 * @context any thread, no spinlock held; its group is pinned until `psiMemstallLeave`
 */
export function psiMemstallEnter(m: Mm): void {
  const { task } = m;
  if (task.memstall++ > 0) return;
  task.psiMemcg = task.memcg;
  change(m, task.memcg, 1, task.productive ? -1 : 0);
}

/** It does not any more. @context as psiMemstallEnter */
export function psiMemstallLeave(m: Mm): void {
  const { task } = m;
  if (--task.memstall > 0) return;
  change(m, task.psiMemcg, -1, task.productive ? 1 : 0);
}

/**
 * The thread begins or ends to run a program for its group.
 * @context the thread itself, not stalled; its group is pinned
 */
export function psiProductive(m: Mm, runs: boolean): void {
  if (m.task.productive === runs) return;
  m.task.productive = runs;
  change(m, m.task.memcg, 0, runs ? 1 : -1);
}

/** A line of the file. */
function line(m: Mm, row: number, kind: 'some' | 'full'): string {
  const averages = WINDOWS.map(
    (window) => `avg${window}=${(m.psi[`${kind}${window}`][row] as number).toFixed(2)}`,
  );
  return `${kind} ${averages.join(' ')} total=${Math.floor(m.psi[kind][row] as number)}\n`;
}

/** /proc/pressure/memory for the root, memory.pressure for others. @context a thread with an id */
export function memoryPressure(m: Mm, memcg: number): string {
  if (m.task.id === 0) return line(m, memcg, 'some') + line(m, memcg, 'full');
  const now = nowUs();
  spinLock(m.psiLock, memcg * LINE_WORDS, LC_PSI);
  update(m, memcg, now);
  const text = line(m, memcg, 'some') + line(m, memcg, 'full');
  spinUnlock(m.psiLock, memcg * LINE_WORDS, LC_PSI);
  return text;
}
