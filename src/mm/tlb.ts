// SPDX-License-Identifier: GPL-2.0-only
/**
 * Sections and shootdowns: when may a page's bytes be read out or given away?
 *
 * A CPU translates, marks and touches bytes within a section. Reclaim clears a batch of page-table
 * entries and then waits, once, until every CPU that runs one of those address spaces has left the
 * section it was in: a CPU that read an entry before it was cleared is done with the bytes by then.
 * A CPU leaves its section at every fault and sleep, and after at most SECTION_EVENTS_MAX events,
 * and takes no lock inside one, so the wait is short and cannot deadlock.
 *
 *   CPU                                  reclaim
 *   section odd; load entry; touch       cas entry -> swap; load cpuMask; load section
 *   section even; load waiter -> notify  set waiter; load section; wait while odd and unchanged
 *
 * All atomics are sequentially consistent: either the CPU's load sees the cleared entry, or reclaim
 * sees the odd section.
 */
import { assert } from '../../shared/assert.ts';
import { spinWhileEqual } from '../../shared/cpu_relax.ts';
import { PARK_CHECK_MS } from '../../shared/limits.ts';
import { parkBegin, parkEnd } from '../../shared/lock_park.ts';
import { WAIT_SHOOTDOWN } from '../../shared/thread.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { Mm } from './mm.ts';
import { EV } from './vmstat_items.ts';

const WAITERS = 1;

/**
 * Makes this CPU run another address space (switch_mm): who takes pages away from that one waits
 * for the CPU from here on, and nobody waits for it on account of the one before.
 * @param mm address space, 0 for none @context the CPU itself, outside a section
 */
export function switchMm(m: Mm, mm: number): void {
  const { task } = m;
  const bit = 1 << task.cpu;
  if (task.mm !== 0) Atomics.and(m.mm.cpuMask, task.mm, ~bit);
  task.mm = mm;
  // PAIRS(shootdown): before the first entry that a section of it loads.
  if (mm !== 0) Atomics.or(m.mm.cpuMask, mm, bit);
}

/** @context the CPU itself, outside a section */
export function sectionEnter(m: Mm): void {
  const before = Atomics.add(m.section, m.task.cpu * LINE_WORDS, 1);
  assert((before & 1) === 0, 'entering a section inside a section');
}

/** @context the CPU itself, inside a section */
export function sectionLeave(m: Mm): void {
  const row = m.task.cpu * LINE_WORDS;
  const before = Atomics.add(m.section, row, 1); // PAIRS(shootdown): the bump, then the waiter test
  assert((before & 1) === 1, 'leaving a section that was not entered');
  if (Atomics.load(m.section, row + WAITERS) !== 0) Atomics.notify(m.section, row);
}

/**
 * Waits until every CPU of `cpuMask` has left the section it is in now.
 * @param cpuMask bit per CPU; the caller's own is ignored: it is in the kernel, outside a section
 * @context may block; outside every spinlock (folio locks may be held: sections take none)
 */
export function tlbFlush(m: Mm, cpuMask: number): void {
  const { events, cpu: own } = m.task;
  events[EV.kr_shootdown] = (events[EV.kr_shootdown] as number) + 1;
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    if (cpu === own || ((cpuMask >>> cpu) & 1) === 0) continue;
    const row = cpu * LINE_WORDS;
    const seen = Atomics.load(m.section, row);
    if ((seen & 1) === 0 || spinWhileEqual(m.section, row, seen) !== seen) continue;
    events[EV.kr_shootdown_wait] = (events[EV.kr_shootdown_wait] as number) + 1;
    Atomics.add(m.section, row + WAITERS, 1);
    // PAIRS(shootdown): the waiter count, then the section: one of the two sides sees the other.
    parkBegin(WAIT_SHOOTDOWN, cpu);
    while (Atomics.load(m.section, row) === seen) {
      Atomics.wait(m.section, row, seen, PARK_CHECK_MS);
    }
    parkEnd();
    Atomics.sub(m.section, row + WAITERS, 1);
  }
}
