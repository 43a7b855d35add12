// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench kshrinkd`: what it costs that a contended folio is queued and taken, in turns of
 * 32, beside the same list under the same lock alone. Nobody waits for the queue, so nobody is
 * woken. Non-goal: what kshrinkd does with a folio, which is reclaim as ever.
 */
import { pathToFileURL } from 'node:url';
import { createMm } from '../src/mm/mm.ts';
import { mmInit } from '../src/mm/mm_init.ts';
import { benchConfig } from './bench_config.ts';
import { BenchPool } from './bench_pool.ts';
import {
  type BenchCase,
  type BenchOptions,
  type BenchRow,
  formatRows,
  runBench,
  wantsGroup,
} from './bench_runner.ts';
import type { KshrinkdBenchSetup } from './kshrinkd_jobs.ts';

const GROUP = 'kshrinkd: queue and take, folios';

/**
 * Measures the queue of kshrinkd.
 * @returns one row per case
 * @context the main thread; starts a worker and ends it. Seconds
 */
export async function kshrinkdBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { quick = false, notice = () => {} } = options;
  if (!wantsGroup(GROUP, options)) return [];
  const config = benchConfig({ contended: 'kshrinkd-fixed' });
  const m = createMm(config);
  mmInit(m);
  const setup: KshrinkdBenchSetup = { buffers: m.buffers, config };
  const pool = new BenchPool(new URL('./kshrinkd_jobs.js', import.meta.url), setup);
  const caseOf = (job: string, name: string, peer?: string): BenchCase => {
    const run = () => pool.run(job, 1, quick ? 10 : 100);
    return { name, threads: 1, run, ...(peer === undefined ? {} : { peer }) };
  };
  try {
    const cases = [caseOf('list', 'list and lock'), caseOf('queue', 'kshrinkd', 'list and lock')];
    return await runBench([{ name: GROUP, cases }], {
      rounds: quick ? 1 : (options.rounds ?? 9),
      signal: options.signal,
      onRound: (name, round) => notice(`${name}: round ${round}`),
    });
  } finally {
    await pool.close();
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  console.log(formatRows(await kshrinkdBench({ quick })));
}
