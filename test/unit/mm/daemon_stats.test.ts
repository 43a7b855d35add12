// SPDX-License-Identifier: GPL-2.0-only
/** What the report tells of kshrinkd and kcompressd, against what they were made to do. */
import { describe, expect, it } from 'vitest';
import { OWNER_BITS } from '../../../dist/shared/limits.js';
import { RWSEM_WORDS } from '../../../dist/shared/rwsem.js';
import {
  kcompressdClose,
  kcompressdOpen,
  kcompressdStep,
} from '../../../dist/src/mm/kcompressd_step.js';
import { kshrinkdOpen } from '../../../dist/src/mm/kshrinkd.js';
import { kshrinkdStep } from '../../../dist/src/mm/kshrinkd_step.js';
import { lruSize, lruvecRow } from '../../../dist/src/mm/lruvec.js';
import { memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_ACTIVE_ANON,
  LRU_INACTIVE_ANON,
  PTE_SHIFT,
  PTE_YOUNG,
} from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { procVmstat } from '../../../dist/src/mm/proc_vmstat.js';
import { scanControl } from '../../../dist/src/mm/scan_control.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { shrinkActiveList, shrinkInactiveList } from '../../../dist/src/mm/vmscan_lists.js';
import { type Countable, countersOf } from '../../../dist/src/report/compare/counters.js';
import {
  type DaemonReport,
  daemonReport,
  withTimes,
} from '../../../dist/src/report/daemon_report.js';
import { daemonLines } from '../../../dist/src/report/daemon_text.js';
import {
  bootFixture,
  eventOf,
  FIRST_VPN,
  type FixtureOptions,
  fixtureRegions,
} from '../../helpers/mm_fixture.js';

const BATCH = 32;
/** A lock word of somebody else who writes. */
const OTHER = (1 << OWNER_BITS) | 5;

interface Machine {
  readonly m: Mm;
  readonly lruvec: number;
}

/** `pages` pages on the inactive list, none of them young; this thread is kswapd. */
function boot(options: FixtureOptions, pages: number): Machine {
  const m = bootFixture({ pages: 4096, memcgMax: null, ...options });
  memcgRefresh(m, 1);
  const user = new UserContext(m, 1, fixtureRegions());
  const events = Uint32Array.from({ length: pages }, (_, page) => eventOf(page, 1));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
  lruAddDrain(m);
  const lruvec = lruvecRow(m, m.page.memcg[pfnOf(m, 0)] as number, 0);
  while (lruSize(m, lruvec, LRU_ACTIVE_ANON) > 0) {
    shrinkActiveList(m, BATCH, lruvec, scanControl('kswapd', 0, 60), LRU_ACTIVE_ANON);
  }
  for (let page = 0; page < pages; page++) {
    Atomics.and(m.pte, pteOffset(m, 1, FIRST_VPN + page), ~PTE_YOUNG);
  }
  m.task.kswapd = true;
  return { m, lruvec };
}

function pfnOf(m: Mm, page: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) >>> PTE_SHIFT;
}

function reclaim({ m, lruvec }: Machine): number {
  const sc = Object.assign(scanControl('kswapd', 0, 60), { contended: m.contended });
  return shrinkInactiveList(m, BATCH, lruvec, sc, LRU_INACTIVE_ANON);
}

/** Runs `body` while another thread has the rmap lock of all pages. */
function contended(m: Mm, body: () => void): void {
  const word = Atomics.load(m.anonVma.root, m.page.mapping[pfnOf(m, 0)] as number) * RWSEM_WORDS;
  const free = Atomics.exchange(m.anonVmaLock, word, OTHER);
  body();
  Atomics.store(m.anonVmaLock, word, free);
}

const textOf = (report: DaemonReport): string =>
  daemonLines(report as unknown as Parameters<typeof daemonLines>[0]).join('\n');

describe('kcompressd in the report', () => {
  it('tells what went through its ring, how deep that was, and what did not', () => {
    const machine = boot({ kcompressd: 'fixed' }, 10 * BATCH);
    const { m } = machine;
    const row = () => daemonReport(m).kcompressd?.[0];
    reclaim(machine);
    expect(row()).toMatchObject({ comm: 'kcompressd0', queued: 0, fallbackOff: BATCH });
    kcompressdOpen(m, 0);
    for (let turn = 0; turn < 9; turn++) reclaim(machine);
    expect(row()).toMatchObject({ queued: 256, stored: 0, fallbackFull: BATCH, depthMean: null });
    for (let taken = 1; taken > 0; ) taken = kcompressdStep(m, 0);
    const now = row();
    expect(now).toMatchObject({ queued: 256, stored: 256, failed: 0, pages: 256, depthMax: 256 });
    // 255, 254, ... 0 were left behind.
    expect(now?.depthMean).toBe(127.5);
    expect(now?.busyMs).toBeGreaterThan(0);
    expect(now?.pagesPerSec).toBeGreaterThan(0);
    kcompressdClose(m, 0);
  });

  it('has shares of the run, and of CPU time, where time is real', () => {
    const { m } = boot({ kcompressd: 'fixed', kcompressdThreads: 2 }, 1);
    m.kcompressd.busyNs[1] = 5e8;
    m.kcompressd.pages[1] = 1000;
    m.kcompressd.stored[1] = 1000;
    const { kcompressd, kshrinkd } = daemonReport(m);
    const info = {
      id: 1,
      comm: 'kcompressd0:1',
      state: 'exited',
      waitsOn: '',
      wakeups: 0,
    } as const;
    const timed = withTimes(kcompressd, 1000, [{ ...info, cpuMs: 250 }]);
    expect(timed?.[1]).toMatchObject({ busyShare: 0.5, pagesPerSec: 2000, pagesPerCpuSec: 4000 });
    expect(timed?.[0]).toMatchObject({ busyShare: 0, pagesPerSec: null, pagesPerCpuSec: null });
    const report = { mode: 'parallel', kshrinkd, kcompressd: timed, vmstat: {}, counters: {} };
    const rest = { threads: [], lockStat: [], processes: [], latencyNs: {}, faults: {} };
    const integrity = { mismatches: 0, violations: 0 };
    const counters = countersOf({ ...report, ...rest, integrity } as unknown as Countable);
    expect(counters['kcompressd.pages']).toBe(1000);
    expect(counters['kcompressd.pagesPerSec']).toBe(2000);
    expect(counters['kcompressd.busyShare']).toBe(0.25);
  });
});

describe('kshrinkd in the report', () => {
  it('tells what it was given, and what became of that', () => {
    const machine = boot({ contended: 'kshrinkd-fixed' }, 3 * BATCH);
    const { m } = machine;
    const row = () => daemonReport(m).kshrinkd?.[0];
    contended(m, () => reclaim(machine));
    expect(row()).toMatchObject({ comm: 'kshrinkd0', queued: 0, full: BATCH });
    kshrinkdOpen(m, 0);
    contended(m, () => {
      reclaim(machine);
      expect(row()).toMatchObject({ queued: BATCH, depth: BATCH, depthMax: BATCH, scanned: 0 });
      kshrinkdStep(m, 0, false);
    });
    expect(row()).toMatchObject({ putback: BATCH, scanned: BATCH, stolen: 0, depth: 0 });
    contended(m, () => reclaim(machine));
    kshrinkdStep(m, 0, true);
    const now = row();
    expect(now).toMatchObject({ queued: 2 * BATCH, stolen: BATCH, putback: BATCH, dead: 0 });
    expect(daemonReport(m).contended).toEqual({
      policy: 'kshrinkd-fixed',
      head: BATCH,
      tail: 0,
      queued: 2 * BATCH,
    });
  });

  it('is where the seed puts it in /proc/vmstat', () => {
    const { m } = boot({}, 1);
    const names = procVmstat(m)
      .split('\n')
      .map((line) => line.split(' ')[0]);
    const follows = (name: string): string | undefined => names[names.indexOf(name) + 1];
    expect(follows('pgreuse')).toBe('pgsteal_kshrinkd');
    expect(follows('pgsteal_kshrinkd')).toBe('pgsteal_kswapd');
    expect(follows('pgscan_kshrinkd')).toBe('pgscan_kswapd');
  });
});

describe('the text', () => {
  it('has a table for each daemon that is on, and nothing else', () => {
    const off = boot({}, BATCH);
    contended(off.m, () => reclaim(off));
    expect(daemonReport(off.m)).toMatchObject({ kshrinkd: null, kcompressd: null });
    expect(daemonReport(off.m).contended.head).toBe(BATCH);
    expect(textOf(daemonReport(off.m))).toBe('');
    const { m } = boot({ contended: 'kshrinkd-fixed', kcompressd: 'seed' }, 1);
    const text = textOf(daemonReport(m));
    expect(text).toMatch(/^kshrinkd, pages\n +comm +queued +scanned/);
    expect(text).toMatch(/\nkcompressd, folios\n +comm +queued +stored/);
  });

  it('says how many folios went to the tail', () => {
    const machine = boot({ contended: 'tail' }, 2 * BATCH);
    contended(machine.m, () => reclaim(machine));
    const told = 'folios whose rmap lock was taken, tail: 32 to the tail';
    expect(textOf(daemonReport(machine.m))).toBe(told);
  });
});
