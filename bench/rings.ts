// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench rings`: our rings beside ringbuf.js and C, in one run.
 *
 * Groups. `one thread`: a push and a pop by the same thread, ns per element. `two threads`:
 * elements per second through the ring, both sides polling. `producers`: MPSC with one and two
 * producers. All rings hold 4096 elements of 32 bits; C publishes with sequentially consistent
 * stores, as JavaScript must.
 *
 * Goals: SPSC at least 2 x ringbuf.js one element at a time, 4 x in batches of 16.
 * Non-goal: rates of a paced stream; polling both ends without pause is the worst case for a ring.
 */
import { pathToFileURL } from 'node:url';
import { KfifoMpsc, KfifoSpsc } from '../shared/kfifo.ts';
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
import { loadRingbuf, RING_CAPACITY, type RingJobData } from './ring_jobs.ts';

interface Bench {
  readonly pool: BenchPool;
  readonly native: string | null;
  readonly ringbufBytes: number | null;
  readonly ms: number;
}

function ours(bench: Bench, job: string, threads: number, name: string, peer?: string): BenchCase {
  const capacity = RING_CAPACITY;
  const count = job.startsWith('mpsc') ? KfifoMpsc.words(capacity) : KfifoSpsc.words(capacity);
  const run = () => {
    const data: RingJobData = { buffer: new SharedArrayBuffer(count * 4) };
    return bench.pool.run(job, threads, bench.ms, data);
  };
  return { name, threads, run, ...(peer === undefined ? {} : { peer }) };
}

function theirs(bench: Bench, job: string, threads: number, name: string): BenchCase[] {
  const bytes = bench.ringbufBytes;
  if (bytes === null) return [];
  const run = () =>
    bench.pool.run(job, threads, bench.ms, { buffer: new SharedArrayBuffer(bytes) });
  return [{ name, threads, run }];
}

function inC(bench: Bench, job: string, threads: number, name: string): BenchCase[] {
  const program = bench.native;
  if (program === null) return [];
  return [{ name, threads, run: () => runNative(program, bench.ms, job, threads) }];
}

/** Our case beside ringbuf.js, then once more beside C, so that each has its ratio. */
function trio(bench: Bench, size: '1' | '16', self: boolean): BenchCase[] {
  const prefix = self ? 'self' : '';
  const threads = self ? 1 : 2;
  const job = self ? `spsc self${size}` : `spsc${size}`;
  const other = theirs(
    bench,
    self ? `ringbuf self${size}` : `ringbuf${size}`,
    threads,
    `ringbuf.js ${size}`,
  );
  const native = inC(bench, `${prefix || 'spsc'}${size}`, threads, `C ${size}`);
  return [
    ...other,
    ours(bench, job, threads, `spsc ${size}`, other.length > 0 ? `ringbuf.js ${size}` : undefined),
    ...native,
    ...(native.length > 0 ? [ours(bench, job, threads, `spsc ${size} again`, `C ${size}`)] : []),
  ];
}

function groupsOf(bench: Bench): BenchGroup[] {
  const mpsc = [1, 2].flatMap((producers) => {
    const threads = producers + 1;
    const native = inC(bench, 'mpsc', threads, `C mpsc, ${producers}`);
    const peer = native.length > 0 ? `C mpsc, ${producers}` : undefined;
    return [...native, ours(bench, 'mpsc', threads, `mpsc, ${producers}`, peer)];
  });
  const mpscSelf = inC(bench, 'mpscself1', 1, 'C mpsc');
  return [
    {
      name: 'rings: one thread, push and pop',
      cases: [
        ...trio(bench, '1', true),
        ...trio(bench, '16', true),
        ...mpscSelf,
        ours(bench, 'mpsc self1', 1, 'mpsc', mpscSelf.length > 0 ? 'C mpsc' : undefined),
      ],
    },
    {
      name: 'rings: two threads',
      cases: [...trio(bench, '1', false), ...trio(bench, '16', false)],
    },
    { name: 'rings: producers', cases: mpsc },
  ];
}

/**
 * Measures the rings.
 * @returns one row per case, groups in order
 * @context the main thread; starts its own workers and ends them. Under a minute by default
 */
export async function ringsBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { native = true, quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 9);
  const ringbuf = await loadRingbuf();
  if (ringbuf === null) notice('bench: ringbuf.js is not installed, it is left out');
  const bench: Bench = {
    pool: new BenchPool(new URL('./ring_jobs.js', import.meta.url)),
    native: native ? await buildNative('rings', notice) : null,
    ringbufBytes:
      ringbuf?.RingBuffer.getStorageForCapacity(RING_CAPACITY, Int32Array).byteLength ?? null,
    ms: quick ? 5 : 60,
  };
  try {
    const groups = groupsOf(bench).filter(({ name }) => wantsGroup(name, options));
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
  const rows = await ringsBench({ quick, native, only, notice });
  console.log(formatRows(rows));
}
