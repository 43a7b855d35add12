// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench rcu`: what a reader pays under RCU, SRCU and a reader trylock, and what an
 * updater waits, beside C, in one run.
 *
 * Groups. `section`: one thread, ns per read section, beside the bare loop. `storm`: all threads
 * take and leave read sections of one lock or domain, M sections per second in total; the rwsem's
 * readers share a word, RCU's share nothing. `grace period`: one thread calls synchronizeRcu while
 * two others read and pass quiescent states; ns per call.
 *
 * C is liburcu's QSBR flavour where it is installed, else a plain QSBR of ours
 * (bench/native/qsbr.h).
 *
 * Goals: an RCU read section (`read`) <= 3 ns. Non-goal: the cost of `deref`, one Atomics.load,
 * which V8 calls out of line.
 */
import { pathToFileURL } from 'node:url';
import { buildRcuNative, runNative } from './bench_native.ts';
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
import { RCU_JOB_WORDS, type RcuBenchSetup, type RcuJobData, rcuBenchBytes } from './rcu_jobs.ts';

interface Bench {
  readonly pool: BenchPool;
  readonly native: string | null;
  readonly ms: number;
}

function ours(bench: Bench, job: string, threads: number, name: string, peer?: string): BenchCase {
  const run = () => {
    const data: RcuJobData = { words: new Int32Array(new SharedArrayBuffer(RCU_JOB_WORDS * 4)) };
    return bench.pool.run(job, threads, bench.ms, data);
  };
  return { name, threads, run, ...(peer === undefined ? {} : { peer }) };
}

function inC(bench: Bench, job: string, threads: number, name: string): BenchCase[] {
  const program = bench.native;
  if (program === null) return [];
  return [{ name, threads, run: () => runNative(program, bench.ms, job, threads) }];
}

/** Our case beside its C peer, where there is one. */
function pair(bench: Bench, job: string, threads: number, name: string): BenchCase[] {
  const native = inC(bench, job, threads, `C ${name}`);
  return [...native, ours(bench, job, threads, name, native.length > 0 ? `C ${name}` : undefined)];
}

function groupsOf(bench: Bench, threads: readonly number[]): BenchGroup[] {
  const section = ['read', 'deref', 'quiescent', 'ref', 'srcu', 'tryread'];
  const storm = ['tryread', 'srcu', 'ref', 'quiescent', 'read'];
  return [
    {
      name: 'rcu: one read section',
      cases: [
        ours(bench, 'bare', 1, 'bare loop'),
        ...section.map((job) => ours(bench, job, 1, job, 'bare loop')),
        ...['read', 'quiescent', 'ref', 'tryread'].flatMap((job) => inC(bench, job, 1, `C ${job}`)),
      ],
    },
    {
      name: 'rcu: storm',
      cases: threads.flatMap((nr) => storm.flatMap((job) => pair(bench, job, nr, `${job} x${nr}`))),
    },
    {
      name: 'rcu: grace period, two live readers',
      cases: pair(bench, 'synchronize', 3, 'synchronize'),
    },
  ];
}

/**
 * Measures RCU.
 * @returns one row per case, groups in order
 * @context the main thread; starts its own workers and ends them. Under a minute by default
 */
export async function rcuBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { threads = [1, 2, 4], native = true, quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 7);
  const setup: RcuBenchSetup = {
    memory: new SharedArrayBuffer(rcuBenchBytes()),
    ids: new Int32Array(new SharedArrayBuffer(4)),
  };
  const bench: Bench = {
    pool: new BenchPool(new URL('./rcu_jobs.js', import.meta.url), setup),
    native: native ? await buildRcuNative('rcu', notice) : null,
    ms: quick ? 5 : 50,
  };
  try {
    const groups = groupsOf(bench, threads).filter(({ name }) => wantsGroup(name, options));
    return await runBench(groups, {
      rounds,
      signal: options.signal,
      onRound: (group, round) => notice(`${group}: round ${round}/${rounds}`),
    });
  } finally {
    await bench.pool.close();
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const native = !process.argv.includes('--no-native');
  const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
  const notice = (line: string) => console.error(line);
  const rows = await rcuBench({ quick, native, only, notice });
  console.log(formatRows(rows));
}
