// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench locks`: every lock kind beside bare Atomics and C, in one run.
 *
 * Groups. `pair`: one thread, lock and unlock with an empty section, beside a bare compareExchange
 * and store on the same word; with statistics off, on, and with lock-order checking. `contended`:
 * all threads on one lock, with an empty section and with one of about 100 ns, beside C where it
 * has the kind. The rate at 4 threads on 2 cores beside that at 2 is what shows whether waiters
 * park.
 *
 * Goals: pair/spin off <= 1.2, on <= 1.6 of the bare pair; every kind at 4 threads at least a tenth
 * of its rate at 2 threads with the 100 ns section.
 */
import { pathToFileURL } from 'node:url';
import { buildNative, runNative } from './bench_native.ts';
import { BenchPool } from './bench_pool.ts';
import {
  type BenchCase,
  type BenchGroup,
  type BenchOptions,
  type BenchRow,
  formatRows,
  runBench,
  wantsGroup,
} from './bench_runner.ts';
import { JOB_WORDS, type LockBenchSetup, type LockJobData, lockBenchBytes } from './lock_jobs.ts';

/** Dependent multiply-adds that take about 100 ns; the same number in C. */
export const WORK_100NS = 104;

const KINDS = [
  'spin',
  'ticket',
  'mcs',
  'mutex',
  'rwsemRead',
  'rwsemWrite',
  'semaphore',
  'bit',
  'seqRead',
  'seqWrite',
] as const;
const CONTENDED = [...KINDS, 'rwsemMixed'] as const;
/** Kinds that bench/native/locks.c has. */
const NATIVE = new Set(['bare', 'spin', 'ticket', 'mcs', 'mutex', 'rwsemRead', 'rwsemWrite']);

type Mode = 'off' | 'stat' | 'lockdep';

interface Bench {
  readonly pools: Readonly<Record<Mode, BenchPool>>;
  readonly native: string | null;
  readonly ms: number;
}

function openPool(mode: Mode): BenchPool {
  const lockStat = mode === 'stat';
  const lockdep = mode === 'lockdep';
  const setup: LockBenchSetup = {
    memory: new SharedArrayBuffer(lockBenchBytes(lockStat, lockdep)),
    lockStat,
    lockdep,
    ids: new Int32Array(new SharedArrayBuffer(4)),
  };
  return new BenchPool(new URL('./lock_jobs.js', import.meta.url), setup);
}

function jobCase(
  bench: Bench,
  kind: string,
  threads: number,
  options: { mode?: Mode; work?: number; name: string; peer?: string },
): BenchCase {
  const { mode = 'off', work = 0, name, peer } = options;
  const run = () => {
    const words = new Int32Array(new SharedArrayBuffer(JOB_WORDS * 4));
    const data: LockJobData = { words, work };
    return bench.pools[mode].run(kind, threads, bench.ms, data);
  };
  return { name, threads, run, ...(peer === undefined ? {} : { peer }) };
}

function nativeCase(
  bench: Bench,
  kind: string,
  threads: number,
  work: number,
  name: string,
): BenchCase[] {
  const program = bench.native;
  if (program === null || !NATIVE.has(kind)) return [];
  return [{ name, threads, run: () => runNative(program, bench.ms, kind, threads, work) }];
}

function pairGroup(bench: Bench): BenchGroup {
  const cases: BenchCase[] = [
    ...nativeCase(bench, 'bare', 1, 0, 'C bare'),
    jobCase(bench, 'bare', 1, { name: 'bare', ...(bench.native ? { peer: 'C bare' } : {}) }),
  ];
  for (const kind of KINDS) {
    cases.push(jobCase(bench, kind, 1, { name: kind, peer: 'bare' }));
    cases.push(jobCase(bench, kind, 1, { name: `${kind} stat`, mode: 'stat', peer: 'bare' }));
    cases.push(jobCase(bench, kind, 1, { name: `${kind} lockdep`, mode: 'lockdep', peer: 'bare' }));
    cases.push(...nativeCase(bench, kind, 1, 0, `C ${kind}`));
  }
  return { name: 'locks: uncontended pair', cases };
}

function contendedGroup(bench: Bench, threads: readonly number[], work: number): BenchGroup {
  const cases: BenchCase[] = [];
  for (const kind of CONTENDED) {
    for (const nr of threads) {
      const name = `${kind} x${nr}`;
      const mine = nativeCase(bench, kind, nr, work, `C ${name}`);
      const peer = mine.length > 0 ? { peer: `C ${name}` } : {};
      cases.push(jobCase(bench, kind, nr, { name, work, ...peer }), ...mine);
    }
  }
  return { name: `locks: contended, ${work === 0 ? 'empty' : '~100 ns'} section`, cases };
}

/**
 * Measures the locks.
 * @returns one row per case, groups in order
 * @context the main thread; starts its own workers and ends them. Under two minutes by default
 */
export async function locksBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { threads = [1, 2, 4], native = true, quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 5);
  const pools = { off: openPool('off'), stat: openPool('stat'), lockdep: openPool('lockdep') };
  const program = native ? await buildNative('locks', notice) : null;
  const bench: Bench = { pools, native: program, ms: quick ? 5 : 60 };
  try {
    const groups = [
      pairGroup(bench),
      contendedGroup(bench, threads, 0),
      contendedGroup(bench, threads, WORK_100NS),
    ].filter(({ name }) => wantsGroup(name, options));
    return await runBench(groups, {
      rounds,
      signal: options.signal,
      onRound: (group, round) => notice(`${group}: round ${round}/${rounds}`),
    });
  } finally {
    await Promise.all(Object.values(pools).map((pool) => pool.close()));
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const native = !process.argv.includes('--no-native');
  const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
  const notice = (line: string) => console.error(line);
  const rows = await locksBench({ quick, native, only, notice });
  console.log(formatRows(rows));
}
