// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench kcompressd`: pages a second through a thread of kcompressd, from its ring to
 * where they are stored, beside the raw codec over the same frames.
 *
 * A turn begins with a full ring of 256 folios in writeback, as kswapd leaves it; the thread takes
 * each out, compresses it, stores it, ends its writeback and rotates it. The peer compresses the
 * same frames and drops what comes out. Both on one thread, with real bytes; waits for a core are
 * taken out of the time.
 *
 * Goal: at least 80 % of the codec's rate, so a ratio of 1.25 at most. Non-goals: what kswapd saves
 * (`kreclaim reproduce kcompressd`), threads that wait for each other.
 */
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { createMm } from '../src/mm/mm.ts';
import { mmInit } from '../src/mm/mm_init.ts';
import { benchConfig } from './bench_config.ts';
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
import {
  CELL_NS,
  CELL_OPS,
  type KcompressdBenchSetup,
  type KcompressdJobData,
} from './kcompressd_jobs.ts';

const PAGES = 1024;
const FIRST_VPN = 4096;

/**
 * What pages hold: what the engine fills them with, of which two thirds are one repetition, so that
 * the codec has little to do; or what a program's pages have: the middle of Node's executable.
 */
const CONTENTS = { fill: null, program: process.execPath } as const;

function machinePool(swap: 'zram' | 'zswap', file: string | null): BenchPool {
  const config = benchConfig({
    nodes: [{ zonePages: [16_384] }],
    contents: true,
    swap,
    swapPages: 8192,
    kcompressd: 'fixed',
    processes: [
      {
        comm: 'bench',
        memcg: 0,
        cpus: [0],
        program: { module: '', export: '' },
        args: null,
        vmas: [{ start: FIRST_VPN, end: FIRST_VPN + PAGES }],
        generator: false,
        file: null,
      },
    ],
    regionsMax: 16,
    pageTables: 64,
  });
  const m = createMm(config);
  mmInit(m);
  const setup: KcompressdBenchSetup = {
    buffers: m.buffers,
    config,
    pages: PAGES,
    firstVpn: FIRST_VPN,
    file,
  };
  return new BenchPool(new URL('./kcompressd_jobs.js', import.meta.url), setup);
}

function caseOf(pool: BenchPool, job: string, name: string, ms: number, peer?: string): BenchCase {
  const run = async () => {
    const cells = new Float64Array(new SharedArrayBuffer(16));
    const data: KcompressdJobData = { cells };
    await pool.run(job, 1, ms, data);
    return (1e9 * (cells[CELL_OPS] as number)) / (cells[CELL_NS] as number);
  };
  return { name, threads: 1, run, ...(peer === undefined ? {} : { peer }) };
}

function groupOf(pool: BenchPool, name: string, ms: number): BenchGroup {
  const codec = caseOf(pool, 'codec', 'codec', ms);
  return { name, cases: [codec, caseOf(pool, 'through', 'kcompressd', ms, 'codec')] };
}

/** Every store with every content. */
const SHAPES = (['zram', 'zswap'] as const).flatMap((swap) =>
  (['fill', 'program'] as const).map((content) => ({
    name: `kcompressd: pages of a ${content} to ${swap}`,
    swap,
    file: CONTENTS[content],
  })),
);

/**
 * Measures kcompressd.
 * @returns one row per case
 * @context the main thread; starts its own workers and ends them. Under a minute by default
 */
export async function kcompressdBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 9);
  const rows: BenchRow[] = [];
  for (const { name, swap, file } of SHAPES) {
    if (!wantsGroup(name, options)) continue;
    const pool = machinePool(swap, file);
    try {
      const group = groupOf(pool, name, quick ? 10 : 500);
      const onRound = (name: string, round: number) => notice(`${name}: round ${round}/${rounds}`);
      rows.push(...(await runBench([group], { rounds, signal: options.signal, onRound })));
    } finally {
      await pool.close();
    }
  }
  return rows;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
  const notice = (line: string) => console.error(line);
  console.log(formatRows(await kcompressdBench({ quick, only, notice })));
}
