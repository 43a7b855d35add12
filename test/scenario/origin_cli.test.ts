// SPDX-License-Identifier: GPL-2.0-only
/** `reproduce origin` as a user meets it, made small; and machines that wait for the rmap lock. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { lockStatRows } from '../../dist/shared/lock_report.js';
import { LINE_WORDS } from '../../dist/shared/types.js';
import { Machine } from '../../dist/src/machine.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { LC_ANON_VMA } from '../../dist/src/mm/lock_order.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { forkConfig } from '../fixtures/fork_programs.mjs';
import { runCli } from '../helpers/cli.ts';

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-origin-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const kreclaim = (args: string, interruptAt?: string) =>
  runCli(dir, args.split(' '), { interruptAt });

const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));

it('shows waits that go away, and where folios go instead', { timeout: 120_000 }, async () => {
  const args = '--quick --hold-us 2000 --json a.json';
  const { code, stdout, stderr } = await kreclaim(`reproduce origin ${args}`);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^1 of 2: run 1, blocking: 2 forking, holding 2000 us\n/);
  expect(stdout).toMatch(/\nContended folios of trylock on their list/);
  expect(stdout).toMatch(/\nwaits: .*\nplacement: .*\n$/);
  const report = json('a.json');
  expect(report).toMatchObject({
    schema: 'kreclaim.reproduce/1',
    name: 'origin',
    plan: { runs: 1, threads: [2], holdUs: [2000], folios: 'anon' },
    interrupted: false,
    violations: [],
  });
  expect(report.seedFigure.before).toMatchObject({ waits: 209, sumMs: 31_672 });
  expect(report.runs).toHaveLength(2);
  const [{ before, after }] = report.measured.cells;
  expect(before.contended).toBe(0);
  expect(after).toMatchObject({ waits: 0, waitMsSum: 0 });
  if (after.placed !== null) expect(after.placed[1]).toBeLessThan(0.5);
});

it('shows the same of pages of files', { timeout: 120_000 }, async () => {
  const args = '--quick --folios file --threads 1 --hold-us 20000 --json f.json';
  const { code, stdout } = await kreclaim(`reproduce origin ${args}`);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Waits of reclaim for i_mmap_rwsem /);
  const report = json('f.json');
  expect(report).toMatchObject({ plan: { folios: 'file' }, violations: [] });
  const [{ before, after }] = report.measured.cells;
  expect([before.contended, after.waits]).toEqual([0, 0]);
});

it('reports what there is when interrupted', async () => {
  const { code, stdout } = await kreclaim('reproduce origin --quick --json b.json', '2 of 4');
  expect(code).toBe(130);
  expect(stdout).toMatch(/\nwaits: not measured\nplacement: no contended folio was seen\n$/);
  expect(json('b.json')).toMatchObject({ interrupted: true, measured: { cells: [] } });
});

it.each([
  ['reproduce origin --hold-us -1', /^kreclaim: --hold-us: '-1' will not do; give integers in 0/],
  ['reproduce origin --folios x', /^kreclaim: --folios: 'x' will not do; give anon or file\n$/],
  ['reproduce origin --flame a.html', /^kreclaim: --flame: goes with reproduce shrinker\n$/],
  ['reproduce shrinker --hold-us 1', /^kreclaim: --hold-us: goes with reproduce origin or/],
  ['run --rmap-trylock maybe x', /^kreclaim: --rmap-trylock: 'maybe' will not do; give on or off/],
])('%s is refused', async (args, expected) => {
  const { code, stdout, stderr } = await kreclaim(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(expected);
});

it.each([true, false])(
  'rmapTryLock %s: pages are as they were left',
  async (rmapTryLock) => {
    const made = forkConfig({ cpus: 2, pages: 400, rounds: 8, memoryPages: 700 });
    const machine = await Machine.boot({ ...made, rmapTryLock, lockStat: true });
    const m = machine.mm;
    await machine.run();
    await machine.freeze();
    expect(checkQuiescent(m).violations).toEqual([]);
    expect([m.cpuState[3], m.cpuState[LINE_WORDS + 3]]).toEqual([0, 0]);
    machine.thaw();
    expect((await machine.shutdown()).panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    const reads = lockStatRows(m.sync).find((row) => row.cls === LC_ANON_VMA && row.read);
    // One that waits never gives up, one that tries never waits.
    if (rmapTryLock) expect(reads?.waitNsTotal).toBe(0);
    else expect(vmEvents(m).kr_rmap_contended).toBe(0);
  },
  120_000,
);
