// SPDX-License-Identifier: GPL-2.0-only
/** `reproduce kshrinkd` and `reproduce kcompressd` as a user meets them, made small. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCli } from '../helpers/cli.ts';

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-daemons-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const kreclaim = (args: string, interruptAt?: string) =>
  runCli(dir, args.split(' '), { interruptAt });

const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));
const contract = (name: string) => ({ schema: 'kreclaim.reproduce/1', name, violations: [] });

it('kshrinkd: isolations by policy, and their verdict', { timeout: 120_000 }, async () => {
  const args = '--only isolations --quick --json a.json';
  const { code, stdout, stderr } = await kreclaim(`reproduce kshrinkd ${args}`);
  expect(stderr).toMatch(/^1 of 6: run 1, isolations: head, 8 of 32 held\n/);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\n {2}8 of 32 +tail +24 16 8 /);
  expect(stdout).toMatch(
    /\nisolations: .*\nsteal \/ scan: not measured\n.*\n.*\nkills: not measured/,
  );
  const report = json('a.json');
  expect(report).toMatchObject({ ...contract('kshrinkd'), interrupted: false, panic: null });
  expect(report.seedFigure).toMatchObject({ stealPercent: 33, refaultRatio: [0.966, 0.971] });
  const of = (policy: string) =>
    report.measured.isolations.filter((cell) => cell.policy === policy);
  for (const { misplaced, held } of of('head')) expect(misplaced.median).toBe(16 * held);
  for (const { reclaimable, held, misplaced } of [...of('tail'), ...of('kshrinkd')]) {
    expect([reclaimable[0], misplaced.median]).toEqual([32 - held, 0]);
  }
  for (const { held, reclaimable, scanKshrinkd, stealKshrinkd } of of('kshrinkd')) {
    expect(reclaimable).toEqual(new Array(16).fill(32 - held));
    expect([scanKshrinkd.median, stealKshrinkd.median]).toEqual([16 * held, 16 * held]);
  }
});

it('kshrinkd: workload monkey, by hold time', { timeout: 120_000 }, async () => {
  const args = '--only monkey --quick --hold-us 200 --one-in 2 --launches 4 --json m.json';
  const { code, stdout } = await kreclaim(`reproduce kshrinkd ${args}`);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Workload monkey .*\n.*steal\/scan %.*\n +2 +200 +head /);
  const report = json('m.json');
  expect(report).toMatchObject({
    ...contract('kshrinkd'),
    plan: { runs: 1, holdUs: [200], oneIn: [2], launches: 4 },
  });
  expect(report.measured.monkey.map((cell) => cell.policy)).toEqual([
    'head',
    'kshrinkd',
    'kshrinkd-fixed',
  ]);
});

it('kcompressd: on and off, by cost', { timeout: 120_000 }, async () => {
  const args = '--only cost --quick --cost 3 --json c.json';
  const { code, stdout, stderr } = await kreclaim(`reproduce kcompressd ${args}`);
  expect(stderr).toMatch(/^1 of 7: run 1, scan cost: off, none x1\n2 of 7: run 1, cost: off, /);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nAllocation stalls .*\n/);
  expect(stdout).toMatch(/\nallocation stalls: .*\npgsteal_anon: .*\nno gain: .*\n$/);
  const report = json('c.json');
  expect(report).toMatchObject({
    ...contract('kcompressd'),
    plan: { runs: 1, costs: [3] },
    seedFigure: { stallRatioAtMost: 0.5 },
  });
  expect(report.measured.cells).toHaveLength(6);
  for (const { sample } of report.runs) {
    const { policy, queued } = sample;
    if (policy === 'off') expect(queued).toBe(0);
    else expect(queued).toBeGreaterThan(0);
  }
});

it('kcompressd: reports what there is when interrupted', async () => {
  const args = 'reproduce kcompressd --quick --json i.json';
  const { code, stdout } = await kreclaim(args, '2 of ');
  expect(code).toBe(130);
  expect(stdout).toMatch(/\nallocation stalls: not measured\n/);
  expect(json('i.json')).toMatchObject({ interrupted: true, measured: { cells: [] } });
});

it.each([
  ['kshrinkd --only x', /^--only: no experiment 'x'; known are isolations, monkey\n$/],
  ['kshrinkd --one-in 0', /^--one-in: '0' will not do; give integers in 1\.\.1000000\n$/],
  ['kshrinkd --launches x', /^--launches: 'x' will not do/],
  ['kshrinkd --cost 2', /^--cost: goes with reproduce kcompressd\n$/],
  ['kcompressd --cost 0', /^--cost: '0' will not do; give integers in 1\.\.1000\n$/],
  ['kcompressd --threads 5', /^--threads: '5' will not do; give integers in 1\.\.4\n$/],
  ['kcompressd --only x', /^--only: no experiment 'x'; known are cost, threads, reserve, /],
  ['kcompressd --hold-us 1', /^--hold-us: goes with reproduce origin or kshrinkd\n$/],
])('reproduce %s is refused', async (args, expected) => {
  const before = readdirSync(dir);
  const { code, stdout, stderr } = await kreclaim(`reproduce ${args}`);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr.replace('kreclaim: ', '')).toMatch(expected);
  expect(readdirSync(dir)).toEqual(before);
});
