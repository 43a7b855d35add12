// SPDX-License-Identifier: GPL-2.0-only
/**
 * Folios whose rmap lock is taken, on one thread: where each policy puts them, what kshrinkd does
 * with them, and what is counted. Somebody else's lock is a word that says so.
 */
import { describe, expect, it } from 'vitest';
import { OWNER_BITS } from '../../../dist/shared/limits.js';
import { RWSEM_WORDS } from '../../../dist/shared/rwsem.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import type { ContendedPolicy, KshrinkdBug } from '../../../dist/src/mm/contended.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { ownWrites } from '../../../dist/src/mm/folio.js';
import {
  KSHRINKD_CAP,
  KSHRINKD_CAP_REQUEUE,
  kshrinkdGone,
  kshrinkdOpen,
  kshrinkdPages,
  kshrinkdRequeue,
  kshrinkdTake,
} from '../../../dist/src/mm/kshrinkd.js';
import {
  kshrinkdDrain,
  kshrinkdPutbackAll,
  kshrinkdStep,
} from '../../../dist/src/mm/kshrinkd_step.js';
import { MAX_RECLAIM_RETRIES } from '../../../dist/src/mm/limits.js';
import { lruHead, lruSize, lruvecRow } from '../../../dist/src/mm/lruvec.js';
import { countMemcg, MS, memcgStatCell } from '../../../dist/src/mm/memcg_events.js';
import { memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON, PTE_SHIFT } from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { type ScanControl, scanControl } from '../../../dist/src/mm/scan_control.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { swapFilesClose } from '../../../dist/src/mm/swap_io.js';
import { nodeHopeless } from '../../../dist/src/mm/throttle.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { deferredDone, deferredInVain } from '../../../dist/src/mm/vmscan_deferred.js';
import { balancePgdat } from '../../../dist/src/mm/vmscan_kswapd.js';
import {
  putbackLru,
  shrinkActiveList,
  shrinkInactiveList,
} from '../../../dist/src/mm/vmscan_lists.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { EV } from '../../../dist/src/mm/vmstat_items.js';
import { bootFixture, eventOf, FIRST_VPN, fixtureRegions } from '../../helpers/mm_fixture.js';

const PAGES = 64;
const BATCH = 32;
const OTHER = (1 << OWNER_BITS) | 5;

interface Machine {
  readonly m: Mm;
  readonly user: UserContext;
  readonly lruvec: number;
}

/** Pages 0 .. pages-1 on the inactive list, 0 the oldest, none of them young. */
function boot(
  policy: ContendedPolicy,
  bugs: KshrinkdBug[] = [],
  pages = PAGES,
  swap: 'zram' | 'file' = 'zram',
): Machine {
  const base = { pages: 4096, memcgMax: null, contended: policy, kshrinkdBugs: bugs };
  const m = bootFixture({ ...base, swap });
  memcgRefresh(m, 1);
  const user = new UserContext(m, 1, fixtureRegions());
  const events = Uint32Array.from({ length: pages }, (_, page) => eventOf(page, 1));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
  lruAddDrain(m);
  const lruvec = lruvecRow(m, m.page.memcg[pfnOf(m, 0)] as number, 0);
  const sc = scanControl('kswapd', 0, 60);
  while (lruSize(m, lruvec, LRU_ACTIVE_ANON) > 0) {
    shrinkActiveList(m, BATCH, lruvec, sc, LRU_ACTIVE_ANON);
  }
  // Pages that were new start on the inactive list, young.
  for (let page = 0; page < pages; page++) {
    Atomics.and(m.pte, pteOffset(m, 1, FIRST_VPN + page), ~4);
  }
  if (policy.startsWith('kshrinkd')) kshrinkdOpen(m, 0);
  return { m, user, lruvec };
}

function pfnOf(m: Mm, page: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) >>> PTE_SHIFT;
}

/** Runs `body` while another thread has the rmap lock of all pages. */
function contended<T>(m: Mm, body: () => T): T {
  const root = Atomics.load(m.anonVma.root, m.page.mapping[pfnOf(m, 0)] as number);
  const word = root * RWSEM_WORDS;
  const free = Atomics.exchange(m.anonVmaLock, word, OTHER);
  try {
    return body();
  } finally {
    Atomics.store(m.anonVmaLock, word, free);
  }
}

function reclaim({ m, lruvec }: Machine, change: Partial<ScanControl> = {}): number {
  const sc = Object.assign(scanControl('kswapd', 0, 60), { contended: m.contended }, change);
  return shrinkInactiveList(m, BATCH, lruvec, sc, LRU_INACTIVE_ANON);
}

/** Pages of the inactive list, oldest first. */
function order({ m, lruvec }: Machine): number[] {
  const page = new Map(Array.from({ length: PAGES }, (_, i) => [pfnOf(m, i), i]));
  const head = lruHead(m, lruvec, LRU_INACTIVE_ANON);
  const found: number[] = [];
  for (let at = m.link.prev[head] as number; at !== head; at = m.link.prev[at] as number) {
    found.push(page.get(at) as number);
  }
  return found;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

function sound({ m, user }: Machine, pages = PAGES): void {
  expect(checkQuiescent(m).violations).toEqual([]);
  expect(verifyPages(m, user, true)).toEqual({ pages, mismatches: 0, first: null });
  expect(exitMm(m, 1)).toBe(true);
  drainEverything(m);
  expect(checkEmpty(m).violations).toEqual([]);
}

describe('a folio whose rmap lock is taken', () => {
  it('goes to the head, ahead of younger ones', () => {
    const machine = boot('head');
    expect(contended(machine.m, () => reclaim(machine))).toBe(0);
    expect(order(machine)).toEqual([...range(BATCH, PAGES), ...range(0, BATCH)]);
    expect(vmEvents(machine.m).kr_contended_head).toBe(BATCH);
    sound(machine);
  });

  it('goes to the tail, where the next turn meets it again, and makes no progress', () => {
    const machine = boot('tail');
    for (let turn = 0; turn < 8; turn++) {
      expect(contended(machine.m, () => reclaim(machine))).toBe(0);
      expect(order(machine)).toEqual(range(0, PAGES));
    }
    expect(reclaim(machine)).toBe(BATCH);
    sound(machine);
  });

  it('goes back where it came from three times, then to the head', () => {
    const machine = boot('origin');
    for (let turn = 0; turn < 3; turn++) {
      contended(machine.m, () => reclaim(machine));
      expect(order(machine)).toEqual(range(0, PAGES));
    }
    contended(machine.m, () => reclaim(machine));
    expect(order(machine)).toEqual([...range(BATCH, PAGES), ...range(0, BATCH)]);
    sound(machine);
  });

  it('is waited for at low priority only', () => {
    const machine = boot('prio');
    expect(contended(machine.m, () => reclaim(machine, { priority: 3 }))).toBe(0);
    // It would wait for ever here: nobody else runs. So the lock is free.
    expect(reclaim(machine, { priority: 2 })).toBe(BATCH);
    sound(machine);
  });

  it('is not waited for with writes of its own under way', () => {
    const machine = boot('prio', [], PAGES, 'file');
    const { m } = machine;
    reclaim(machine, { priority: 3 });
    expect(Atomics.load(m.node.writeback, 0)).toBe(BATCH);
    const { finish } = ownWrites;
    expect(finish).not.toBeNull();
    const root = Atomics.load(m.anonVma.root, m.page.mapping[pfnOf(m, PAGES - 1)] as number);
    const word = root * RWSEM_WORDS;
    const free = Atomics.exchange(m.anonVmaLock, word, OTHER);
    // Its holder waits for that before it lets go.
    ownWrites.finish = (mm) => {
      finish?.(mm);
      Atomics.store(mm.anonVmaLock, word, free);
    };
    reclaim(machine, { priority: 2 });
    expect(Atomics.load(m.node.writeback, 0)).toBe(0);
    sound(machine);
    swapFilesClose(m);
  });

  it.each(['direct', 'kswapd'] as const)('is not queued by reclaim of a group: %s', (role) => {
    const machine = boot('kshrinkd-fixed');
    const sc = { ...scanControl(role, 1, 60), contended: 0 };
    contended(machine.m, () => reclaim(machine, sc));
    expect(kshrinkdPages(machine.m, 0)).toBe(0);
    sound(machine);
  });
});

describe.each(['kshrinkd', 'kshrinkd-fixed'] as const)('%s', (policy) => {
  it('has what was contended, isolated and counted so, and frees it later', () => {
    const machine = boot(policy);
    const { m } = machine;
    expect(contended(m, () => reclaim(machine))).toBe(0);
    expect(kshrinkdPages(m, 0)).toBe(BATCH);
    expect(order(machine)).toEqual(range(BATCH, PAGES));
    expect(Atomics.load(m.node.isolatedAnon, 0)).toBe(BATCH);
    expect(checkQuiescent(m).violations).toEqual([]);
    expect(kshrinkdStep(m, 0, true)).toBe(BATCH);
    expect(Atomics.load(m.node.isolatedAnon, 0)).toBe(0);
    const e = vmEvents(m);
    expect([e.pgscan_kshrinkd, e.pgsteal_kshrinkd]).toEqual([BATCH, BATCH]);
    sound(machine);
  });

  it('has ended the writeback of what it wrote to a file', () => {
    const machine = boot(policy, [], PAGES, 'file');
    const { m } = machine;
    contended(m, () => reclaim(machine));
    kshrinkdStep(m, 0, true);
    expect(Atomics.load(m.node.writeback, 0)).toBe(0);
    expect(vmEvents(m).pswpout).toBe(BATCH);
    sound(machine);
    swapFilesClose(m);
  });

  it('puts what was used meanwhile back', () => {
    const machine = boot(policy);
    const { m, user } = machine;
    contended(m, () => reclaim(machine));
    const events = Uint32Array.from(range(0, 8), (page) => eventOf(page, 0));
    expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
    expect(kshrinkdStep(m, 0, true)).toBe(BATCH - 8);
    const e = vmEvents(m);
    expect([e.pgscan_kshrinkd, e.pgsteal_kshrinkd]).toEqual([BATCH, BATCH - 8]);
    expect(e.kr_kshrinkd_putback).toBe(8);
    sound(machine);
  });

  it('frees what its process has left meanwhile', () => {
    const machine = boot(policy);
    const { m } = machine;
    contended(m, () => reclaim(machine));
    expect(exitMm(m, 1)).toBe(true);
    drainEverything(m);
    expect(kshrinkdPages(m, 0)).toBe(BATCH);
    kshrinkdDrain(m, 0);
    const e = vmEvents(m);
    const dead = policy === 'kshrinkd' ? e.pgsteal_kshrinkd : e.kr_kshrinkd_dead;
    expect(dead).toBe(BATCH);
    expect(checkEmpty(m).violations).toEqual([]);
  });

  it('gives it back before the OOM killer looks for a victim', () => {
    const machine = boot(policy);
    contended(machine.m, () => reclaim(machine));
    expect(kshrinkdPutbackAll(machine.m, 0)).toBe(BATCH);
    expect(kshrinkdPages(machine.m, 0)).toBe(0);
    expect(lruSize(machine.m, machine.lruvec, LRU_INACTIVE_ANON)).toBe(PAGES);
    sound(machine);
  });

  it("gives a group's own back before that group's OOM, and no other's", () => {
    const machine = boot(policy);
    const { m } = machine;
    contended(m, () => reclaim(machine));
    const memcg = m.page.memcg[pfnOf(m, 0)] as number;
    const other = memcg + 1;
    const mine = range(0, BATCH).filter((page) => page % 2 === 0);
    for (const page of mine) m.page.memcg[pfnOf(m, page)] = other;
    expect(kshrinkdPutbackAll(m, other + 1)).toBe(0);
    const taken: number[] = [];
    kshrinkdTake(m, 0, taken, Infinity, other);
    expect(taken).toEqual(mine.map((page) => pfnOf(m, page)));
    expect(kshrinkdPages(m, 0)).toBe(BATCH - mine.length);
    // As they were, so that the counts of the groups are right again.
    for (const page of mine) m.page.memcg[pfnOf(m, page)] = memcg;
    putbackLru(m, taken, false);
    kshrinkdGone(m, 0, mine.length, 0);
    for (const name of ['pgscan_kshrinkd', 'kr_kshrinkd_putback'] as const) {
      m.task.events[EV[name]] = mine.length;
    }
    countMemcg(m, memcg, MS.pgscan_kshrinkd, mine.length);
    expect(kshrinkdPutbackAll(m, memcg)).toBe(BATCH - mine.length);
    sound(machine);
  });

  it('is found out where queued folios are not counted as isolated', () => {
    const machine = boot(policy, ['isolated-lost']);
    contended(machine.m, () => reclaim(machine));
    expect(checkQuiescent(machine.m).violations).toEqual([
      `node 0 nr_isolated_anon: 0, recount ${BATCH}`,
    ]);
  });
});

describe('kshrinkd-fixed', () => {
  it('takes no more than its bound, and counts what it has as progress, not in vain', () => {
    const pages = KSHRINKD_CAP + 2 * BATCH;
    const machine = boot('kshrinkd-fixed', [], pages);
    const { m } = machine;
    const sc = Object.assign(scanControl('kswapd', 0, 60), { contended: m.contended });
    contended(m, () => {
      for (let turn = 0; turn < pages / BATCH; turn++) {
        shrinkInactiveList(m, BATCH, machine.lruvec, sc, LRU_INACTIVE_ANON);
      }
    });
    expect(kshrinkdPages(m, 0)).toBe(KSHRINKD_CAP);
    expect(sc.nrDeferred).toBe(KSHRINKD_CAP);
    expect(vmEvents(m).kr_kshrinkd_full).toBe(2 * BATCH);
    kshrinkdDrain(m, 0);
    sound(machine, pages);
  });

  it('queues what is contended still again, and gives it up in the end, to the tail', () => {
    const machine = boot('kshrinkd-fixed');
    const { m } = machine;
    contended(m, () => {
      reclaim(machine);
      for (let turn = 0; kshrinkdPages(m, 0) > 0; turn++) {
        expect(turn).toBeLessThan(3);
        expect(kshrinkdStep(m, 0, true)).toBe(0);
      }
    });
    expect(order(machine)).toEqual(range(0, PAGES));
    const e = vmEvents(m);
    expect(e.pgscan_kshrinkd).toBe(BATCH);
    expect(e.pgsteal_kshrinkd).toBe(0);
    expect(e.kr_kshrinkd_requeued).toBeGreaterThan(0);
    sound(machine);
  });
});

describe('the queue', () => {
  it('keeps no direct reclaimer from what is not contended, on a small list', () => {
    const pages = 16 * BATCH;
    const machine = boot('kshrinkd-fixed', [], pages);
    const { m, lruvec } = machine;
    const sc = Object.assign(scanControl('direct', 0, 60), { contended: m.contended });
    contended(m, () => {
      for (let turn = 0; turn < 3; turn++) reclaim(machine);
    });
    const isolated = Atomics.load(m.node.isolatedAnon, 0);
    expect(isolated).toBe(3 * BATCH);
    expect(isolated).toBeGreaterThan(lruSize(m, lruvec, LRU_INACTIVE_ANON) >> 3);
    expect(shrinkInactiveList(m, BATCH, lruvec, sc, LRU_INACTIVE_ANON)).toBe(BATCH);
    kshrinkdDrain(m, 0);
    sound(machine, pages);
  });

  it('takes a batch again beside what reclaim has filled it with, and no more', () => {
    const pages = KSHRINKD_CAP + 4 * BATCH;
    const machine = boot('kshrinkd-fixed', [], pages);
    const { m } = machine;
    const sc = Object.assign(scanControl('kswapd', 0, 60), { contended: m.contended });
    const fill = (): void => {
      for (let turn = 0; turn < 2 * BATCH && kshrinkdPages(m, 0) < KSHRINKD_CAP; turn++) {
        shrinkInactiveList(m, BATCH, machine.lruvec, sc, LRU_INACTIVE_ANON);
      }
    };
    const batch: number[] = [];
    const more: number[] = [];
    contended(m, () => {
      fill();
      kshrinkdTake(m, 0, batch, BATCH);
      kshrinkdTake(m, 0, more, BATCH);
      fill();
    });
    expect(kshrinkdPages(m, 0)).toBe(KSHRINKD_CAP);
    expect(kshrinkdRequeue(m, 0, batch)).toBe(BATCH);
    expect(kshrinkdPages(m, 0)).toBe(KSHRINKD_CAP_REQUEUE);
    expect(kshrinkdRequeue(m, 0, more)).toBe(0);
    // The oldest were taken first: now they are behind all others.
    putbackLru(m, more, true);
    kshrinkdGone(m, 0, more.length, 0);
    // As if kshrinkd had put them back itself.
    m.task.events[EV.kr_kshrinkd_putback] = more.length;
    m.task.events[EV.pgscan_kshrinkd] = more.length;
    countMemcg(m, m.page.memcg[more[0] as number] as number, MS.pgscan_kshrinkd, more.length);
    expect(checkQuiescent(m).violations).toEqual([]);
    kshrinkdDrain(m, 0);
    sound(machine, pages);
  });

  it('is counted by groups as by the node, however often a folio was tried', () => {
    const machine = boot('kshrinkd-fixed');
    const { m } = machine;
    const group = m.page.memcg[pfnOf(m, 0)] as number;
    contended(m, () => {
      reclaim(machine);
      kshrinkdStep(m, 0, true);
    });
    expect(vmEvents(m).kr_kshrinkd_requeued).toBe(BATCH);
    expect(memcgStatCell(m, group, MS.pgscan_kshrinkd)).toBe(0);
    kshrinkdStep(m, 0, true);
    expect(memcgStatCell(m, group, MS.pgscan_kshrinkd)).toBe(BATCH);
    sound(machine);
  });
});

describe('kswapd', () => {
  it('gives up a node where all comes back, though between its runs', () => {
    const machine = boot('kshrinkd-fixed');
    const { m } = machine;
    m.zone.wmarkHigh.fill(4096);
    contended(m, () => {
      for (let run = 0; run <= MAX_RECLAIM_RETRIES; run++) {
        expect(nodeHopeless(m, 0)).toBe(false);
        expect(balancePgdat(m, 0, 0, () => false)).toBe(0);
        expect(kshrinkdPages(m, 0)).toBeGreaterThan(0);
        kshrinkdDrain(m, 0);
      }
    });
    expect(nodeHopeless(m, 0)).toBe(true);
    sound(machine);
  });

  it('counts what kshrinkd has as progress, unless all of it comes back', () => {
    const { m } = boot('kshrinkd-fixed');
    expect([deferredDone(m, 0), deferredInVain(m, 0)]).toEqual([0, 0]);
    const machine = boot('kshrinkd-fixed');
    contended(machine.m, () => {
      reclaim(machine);
      kshrinkdDrain(machine.m, 0);
    });
    expect(deferredDone(machine.m, 0)).toBe(0);
    expect(deferredInVain(machine.m, 0)).toBe(BATCH);
    contended(machine.m, () => reclaim(machine));
    contended(machine.m, () => reclaim(machine));
    kshrinkdDrain(machine.m, 0);
    expect(deferredDone(machine.m, 0)).toBeGreaterThan(0);
    sound(machine);
  });
});
