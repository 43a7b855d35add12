// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the kcompressd bench. One worker is the CPU that stores, kswapd that queues, and
 * kcompressd, in turns: so a turn of kcompressd begins with a full ring, and is timed alone.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { ktimeNs } from '../shared/ktime.ts';
import { enterRcu } from '../shared/rcu.ts';
import { enterSync } from '../shared/sync_domain.ts';
import type { F64 } from '../shared/types.ts';
import { compressPage } from '../src/mm/compress.ts';
import type { MmConfig } from '../src/mm/config.ts';
import { pageBytes } from '../src/mm/content.ts';
import { folioTest } from '../src/mm/folio.ts';
import { kcompressdRing } from '../src/mm/kcompressd.ts';
import { kcompressdOpen, kcompressdStep } from '../src/mm/kcompressd_step.ts';
import { PAGE_SIZE, SLOTS_BYTES } from '../src/mm/limits.ts';
import { lruSize, lruvecRow } from '../src/mm/lruvec.ts';
import { enterMapping } from '../src/mm/mapping.ts';
import { attachMm, type Mm } from '../src/mm/mm.ts';
import type { MmBuffers } from '../src/mm/mm_buffers.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_INACTIVE_ANON,
  PG_WRITEBACK,
  PTE_SHIFT,
  PTE_YOUNG,
} from '../src/mm/mm_types.ts';
import { mmapAnon } from '../src/mm/mmap.ts';
import { pteOffset } from '../src/mm/pgtable.ts';
import { bindRcuCallbacks } from '../src/mm/rcu_ids.ts';
import { scanControl } from '../src/mm/scan_control.ts';
import { lruAddDrain } from '../src/mm/swap.ts';
import { KIND_WRITE, RUN_DONE, UserContext } from '../src/mm/user.ts';
import { shrinkActiveList, shrinkInactiveList } from '../src/mm/vmscan_lists.ts';
import { vmEvent } from '../src/mm/vmstat.ts';
import { EV } from '../src/mm/vmstat_items.ts';
import type { BenchJobs, BenchRun } from './bench_pool.ts';

/** What each pool is set up with. */
export interface KcompressdBenchSetup {
  readonly buffers: MmBuffers;
  readonly config: MmConfig;
  /** Pages of the process, and the first of them. */
  readonly pages: number;
  readonly firstVpn: number;
  /** A file whose bytes the pages hold; null for what the engine fills pages with. */
  readonly file: string | null;
}

/** Cells of a sample: what was timed, and how long it took without waits for a core. */
export const CELL_OPS = 0; // @owner the job
export const CELL_NS = 1; // @owner the job

export interface KcompressdJobData {
  readonly cells: F64;
}

/** Pages of one timed turn: a ring of one thread. */
const TURN_PAGES = 256;
const BATCH = 32;

interface BenchMachine {
  readonly m: Mm;
  readonly user: UserContext;
  /** A store to each page. */
  readonly all: Uint32Array;
}

let setup: KcompressdBenchSetup | null = null;
let machine: BenchMachine | null = null;

/** @context each worker, once */
export function setupBench(arg: unknown): void {
  setup = arg as KcompressdBenchSetup;
}

function boot({ buffers, config, pages, firstVpn, file }: KcompressdBenchSetup): BenchMachine {
  const m = attachMm(buffers, config, 1, 0);
  enterSync(m.sync, 1);
  enterRcu(m.rcu, 1);
  bindRcuCallbacks(m);
  enterMapping(m);
  m.task.mm = 1;
  Atomics.or(m.mm.cpuMask, 1, 1);
  mmapAnon(m, 1, firstVpn, firstVpn + pages);
  const regions = Float64Array.from(
    { length: Math.ceil(pages / 512) },
    (_, i) => firstVpn + i * 512,
  );
  const all = Uint32Array.from({ length: pages }, (_, page) => (page << 2) | KIND_WRITE);
  const user = new UserContext(m, 1, regions);
  kcompressdOpen(m, 0);
  const made = { m, user, all };
  if (file !== null) copyFile(made, firstVpn, file);
  return made;
}

/** The pages hold what the middle of a file does, but for what the CPU stores there. */
function copyFile(made: BenchMachine, firstVpn: number, file: string): void {
  const { m, all } = made;
  touchAll(made);
  const bytes = Buffer.alloc(all.length * PAGE_SIZE);
  const fd = openSync(file, 'r');
  readSync(fd, bytes, 0, bytes.length, Math.floor(fstatSync(fd).size / 2));
  closeSync(fd);
  for (let at = 0; at < all.length; at++) {
    const part = bytes.subarray(at * PAGE_SIZE + SLOTS_BYTES, (at + 1) * PAGE_SIZE);
    pageBytes(m, pfnOf(m, firstVpn + at)).set(part, SLOTS_BYTES);
  }
}

function pfnOf(m: Mm, vpn: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, vpn)) >>> PTE_SHIFT;
}

/** Nanoseconds that this thread has waited for a core, 0 where the system does not tell. */
function delayNs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]);
  } catch {
    return 0;
  }
}

/** Times `work`, which returns what it did. */
function timed({ cells }: KcompressdJobData, work: () => number): number {
  const delay = delayNs();
  const since = ktimeNs();
  const done = work();
  const ns = ktimeNs() - since;
  cells[CELL_OPS] = (cells[CELL_OPS] as number) + done;
  cells[CELL_NS] = (cells[CELL_NS] as number) + ns - Math.min(delayNs() - delay, ns);
  return done;
}

/** All pages resident and dirty. */
function touchAll({ user, all }: BenchMachine): void {
  const result = user.run(all, 0, all.length, 1, () => {});
  if (result !== RUN_DONE || user.mismatches > 0) {
    throw new Error(`kcompressd bench: ended with ${result}, ${user.firstMismatch}`);
  }
}

/** All pages on the inactive list, none of them young. */
function age(m: Mm, { pages, firstVpn }: Pick<KcompressdBenchSetup, 'pages' | 'firstVpn'>) {
  lruAddDrain(m);
  for (let page = 0; page < pages; page++) {
    Atomics.and(m.pte, pteOffset(m, 1, firstVpn + page), ~PTE_YOUNG);
  }
  const lruvec = lruvecRow(m, 0, 0);
  const sc = scanControl('kswapd', 0, 60);
  while (lruSize(m, lruvec, LRU_ACTIVE_ANON) > 0) {
    shrinkActiveList(m, BATCH, lruvec, sc, LRU_ACTIVE_ANON);
  }
  return lruvec;
}

/** As kswapd: the inactive list's tail goes to the ring, until that is full. */
function fillRing(m: Mm, lruvec: number): void {
  const ring = kcompressdRing(m, 0);
  m.task.kswapd = true;
  for (let turns = 0; turns < TURN_PAGES && ring.length() + BATCH <= TURN_PAGES; turns++) {
    shrinkInactiveList(m, BATCH, lruvec, scanControl('kswapd', 0, 60), LRU_INACTIVE_ANON);
  }
  m.task.kswapd = false;
}

function drainRing(m: Mm): number {
  let done = 0;
  for (let step = 1; step > 0; done += step) step = kcompressdStep(m, 0);
  return done;
}

/** A ring full of folios in writeback. @returns their frames */
function queueTurn(made: BenchMachine, { firstVpn, pages }: KcompressdBenchSetup): Uint8Array[] {
  const { m } = made;
  touchAll(made);
  const pfns = Array.from({ length: pages }, (_, page) => pfnOf(m, firstVpn + page));
  fillRing(m, age(m, { firstVpn, pages }));
  const past = vmEvent(m, EV.kr_kcompress_full) + vmEvent(m, EV.kr_kcompress_off);
  if (past > 0) throw new Error(`kcompressd bench: ${past} pages past the ring`);
  return pfns.filter((pfn) => folioTest(m, pfn, PG_WRITEBACK)).map((pfn) => pageBytes(m, pfn));
}

function ready(): { readonly setup: KcompressdBenchSetup; readonly made: BenchMachine } {
  if (setup === null) throw new Error('kcompressd bench: no machine');
  machine ??= boot(setup);
  return { setup, made: machine };
}

/** Pages through a thread of kcompressd, from its ring to the store. */
function prepareThrough(data: unknown): BenchRun {
  const { setup, made } = ready();
  return () => {
    queueTurn(made, setup);
    return timed(data as KcompressdJobData, () => drainRing(made.m));
  };
}

/** The same pages, as they are then, through the codec alone. */
function prepareCodec(data: unknown): BenchRun {
  const { setup, made } = ready();
  return () => {
    const frames = queueTurn(made, setup);
    const done = timed(data as KcompressdJobData, () => {
      for (const frame of frames) compressPage(frame);
      return frames.length;
    });
    drainRing(made.m);
    return done;
  };
}

export const jobs: BenchJobs = { through: prepareThrough, codec: prepareCodec };
