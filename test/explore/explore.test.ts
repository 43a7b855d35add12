// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every primitive of shared/ and the shrinkers of src/mm, explored exhaustively within the bound
 * that the scenario states; and its broken twins, each of which the same exploration must find.
 *
 * EXPLORATION_TABLE=1 writes what the run came to into docs/exploration.md.
 */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, test } from 'vitest';
import { pinThread } from '../../dist/src/deterministic/pin.js';
import { exploreReport } from '../../dist/src/harness/index.js';
import {
  chosen,
  documentText,
  formatResults,
  type Row,
  rowOf,
  scenarioFiles,
  writeResults,
} from './scenario_files.ts';

const SECONDS = 120;
/** For a whole engine to be loaded on a busy machine. */
const HANG_MS = 60_000;
/** Of a campaign's variant, in the suite. */
const BRIEF = { strategy: 'pct', iterations: 500, race: false } as const;
// Threads take turns: beside other tests, on one CPU, each turn is a switch and no wake-up.
pinThread(1);
const files = await scenarioFiles();
const rows: Row[] = [];
const found = new Map<string, number>();

describe.each(files)('$name', (file) => {
  const { variants, more = {}, plants, include = [], plainData = true } = file.exploration;
  const brief = Object.keys(more).filter((name) => more[name]?.brief === true);

  test.each(Object.entries(variants))('%s: nothing fails, nothing is left', async (name) => {
    // Said here as well, so that the scenario is loaded once.
    const where = { hangMs: HANG_MS, replayDir: tmpdir() };
    const bound = { race: plainData, include, seconds: SECONDS, ...where };
    const report = await exploreReport(chosen(file, { variant: name }), bound);
    if (report.failure !== null) throw new Error(report.failure.text);
    expect(report.exhausted).toBe(true);
    expect(report.options.strategy).toBe('dfs');
    rows.push(rowOf(file, name, report));
  });

  test.each(brief)('%s, for a while: nothing fails', async (name) => {
    const bound = { ...BRIEF, seconds: SECONDS, replayDir: tmpdir() };
    const report = await exploreReport(chosen(file, { variant: name }), bound);
    if (report.failure !== null) throw new Error(report.failure.text);
    expect(report.executions).toBe(BRIEF.iterations);
  });

  test.each(Object.entries(plants))('%s is found', async (name) => {
    const quick = { seconds: SECONDS, hangMs: HANG_MS, replayDir: false, shrink: false } as const;
    const report = await exploreReport(chosen(file, { plant: name }), quick);
    expect(report.failure, 'the planted bug was missed').not.toBeNull();
    found.set(`${file.name}?${name}`, report.executions);
  });
});

/** Modules of shared/ with nothing of their own that two threads could do at once. */
const ALONE = new Set([
  'arena', // declares tables; one thread makes them
  'assert',
  'fault', // a thread's own
  'index',
  'ktime',
  'limits',
  'lock_report', // reads for a report
  'lock_region', // reads for a report
  'lock_stat', // off here: rows of their owner
  'lock_trace', // off here
  'prng', // a thread's own
  'schedule_hook',
  'spare_memory', // one thread's; what is in it is nobody else's
  'sync_domain', // declares tables
  'types',
  'wasm',
]);

/** Modules that are a part of another subject. */
const PARTS: Readonly<Record<string, string>> = {
  fifo_word: 'mcs_lock',
  held_locks: 'lockdep',
  kfifo_word: 'kfifo',
  lock_class: 'lock_park',
  lock_word: 'spinlock',
  rcu_stall: 'rcu',
  rcu_state: 'rcu',
  rcu_table: 'rcu',
  sched: 'task',
  thread: 'task',
  xarray_pool: 'xarray',
};

test('every module of shared/ is explored, or has nothing to explore', () => {
  const modules = readdirSync(new URL('../../shared/', import.meta.url))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -3));
  const explored = new Set(files.map(({ name }) => name.split('.')[0]));
  const missing = modules.filter((name) => !ALONE.has(name) && !explored.has(PARTS[name] ?? name));
  expect(missing).toEqual([]);
});

test('docs/exploration.md speaks of every subject', () => {
  const text = documentText();
  for (const { name } of files) expect(text).toContain(`test/explore/${name}`);
});

afterAll(() => {
  if (process.env.EXPLORATION_TABLE === undefined) return;
  writeResults(formatResults(files, rows, found));
});
