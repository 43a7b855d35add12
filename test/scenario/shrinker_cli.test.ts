// SPDX-License-Identifier: GPL-2.0-only
/** `reproduce shrinker` and `bench shrinker --profile` as a user meets them, made small. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCli } from '../helpers/cli.ts';

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-reproduce-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const kreclaim = (args: string, interruptAt?: string) =>
  runCli(dir, args.split(' '), { interruptAt });

const reproduce = (args: string, interruptAt?: string) =>
  kreclaim(`reproduce shrinker ${args}`, interruptAt);
const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));

it('shows the tables, the sweeps and the verdicts', { timeout: 120_000 }, async () => {
  const args = '--quick --memcgs 40 --threads 1 --json a.json --flame a.html';
  const { code, stdout, stderr } = await reproduce(args);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^1 of 16: run 1, hot spots: reclaim, rwsem, 1 walking\n/);
  expect(stdout).toMatch(/^Before \(rwsem\), \w+, 1 thread, /);
  expect(stdout).toMatch(/\n +[\d.]+ +33\.15 +down_read_trylock +rwsemTryRead +rwsem\.ts\n/);
  expect(stdout).toMatch(/\nAfter \(lockless-fixed\), /);
  expect(stdout).toMatch(/\n +[\d.]+ +64\.56 +shrink_slab +/);
  expect(stdout).toMatch(/\nhot spots: .*\nchurn: .*\nfailed trylocks: .*\n$/);
  const report = json('a.json');
  expect(report).toMatchObject({
    schema: 'kreclaim.reproduce/1',
    name: 'shrinker',
    plan: { memcgs: 40, runs: 1, threads: [1] },
    interrupted: false,
  });
  expect(report.seedFigure.before.down_read_trylock).toBe(33.15);
  expect(report.measured.hotSpots).toHaveLength(4);
  expect(report.runs).toHaveLength(16);
  const before = report.measured.hotSpots.map((cell) => cell.before.lockShare.max);
  expect(Math.max(...before)).toBeGreaterThan(0);
  for (const { after } of report.measured.hotSpots) expect(after.lockShare.max).toBe(0);
  // That a walk gives up while a writer is in is seen in test/unit/mm/shrinker.test.ts.
  for (const { policy, skipped } of report.measured.churn) {
    if (policy.startsWith('lockless')) expect(skipped).toBe(0);
  }
  const page = readFileSync(join(dir, 'a.html'), 'utf8');
  expect(page).toContain('shrink_slab');
  expect(readFileSync(join(dir, 'a.folded'), 'utf8')).toMatch(/^(rwsem|lockless-fixed);/m);
});

it('reports what there is when interrupted', async () => {
  const { code, stdout } = await reproduce('--quick --threads 1 --json b.json', '3 of 16');
  expect(code).toBe(130);
  expect(stdout).toMatch(/\nchurn: not measured\nfailed trylocks: not measured\n$/);
  const report = json('b.json');
  expect(report.interrupted).toBe(true);
  // One more when the signal comes late.
  expect([2, 3]).toContain(report.runs.length);
  expect(report.measured.churn).toEqual([]);
});

it('profiles the variants of the bench', async () => {
  const shape = '--quick --no-native --threads 1 --register-us off --variant rwsem,lockless-fixed';
  const { code, stdout } = await kreclaim(
    `bench shrinker ${shape} --profile --flame c.html --json c.json`,
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nrwsem x1, .* walks\/s under the profiler\n/);
  expect(stdout).toMatch(/\n +[\d.]+ +64\.56 +shrink_slab +/);
  const { profiles } = json('c.json');
  expect(profiles.map((row) => row.policy)).toEqual(['rwsem', 'lockless-fixed']);
  for (const { table } of profiles) expect(table.samples).toBeGreaterThan(0);
  expect(readFileSync(join(dir, 'c.html'), 'utf8')).toContain('lockless-fixed x1');
});

it.each([
  [
    'reproduce shrinker --runs 0',
    /^kreclaim: --runs: '0' will not do; give integers in 1\.\.99\n$/,
  ],
  ['reproduce shrinker --memcgs 3', /^kreclaim: --memcgs: '3' will not do/],
  ['reproduce shrinker --threads 1,x', /^kreclaim: --threads: '1,x' will not do/],
  ['reproduce shrinker --flame nowhere/a.html', /^kreclaim: nowhere\/a\.html: /],
  ['reproduce reference --flame a.html', /^kreclaim: --flame: goes with reproduce shrinker\n$/],
  ['reproduce shrinker --traces .', /^kreclaim: --traces: goes with reproduce reference\n$/],
  ['bench locks --profile', /^kreclaim: --profile: goes with the group shrinker\n$/],
])('%s is refused', async (args, expected) => {
  const before = readdirSync(dir);
  const { code, stdout, stderr } = await kreclaim(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(expected);
  expect(readdirSync(dir)).toEqual(before);
  expect(existsSync(join(dir, 'nowhere'))).toBe(false);
});
