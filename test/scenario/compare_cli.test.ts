// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim compare` as a user meets it: runs in child processes, reports, bounds, bad usage. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CompareReport,
  generateTrace,
  type RunReport,
  runWorkload,
  traceWorkload,
  writeTrace,
} from '../../dist/src/index.js';
import { type CliOptions, runCli } from '../helpers/cli.ts';

const PLANT = new URL('../fixtures/plant_fault.mjs', import.meta.url).href;
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-compare-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const compare = (line: string, options?: CliOptions) =>
  runCli(dir, ['compare', ...line.split(' ')], options);
const write = (name: string, value: unknown) =>
  writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value));
const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as CompareReport;

/** A real report, and others made from it. */
let real: RunReport;
function variant(refaults: number, config: Partial<RunReport['config']> = {}): RunReport {
  const vmstat = { ...real.vmstat, workingset_refault_anon: refaults };
  return { ...real, vmstat, config: { ...real.config, ...config } };
}

beforeAll(async () => {
  const trace = generateTrace({ kind: 'zipf', pages: 1200, events: 4000 });
  await writeTrace(join(dir, 'small.csv'), trace);
  real = await runWorkload(traceWorkload([trace]), { memory: '60%' });
  for (const k of [1, 2, 3, 4]) {
    write(`a${k}.json`, variant(100 + k));
    write(`b${k}.json`, variant(150 + k, { swappiness: 10 }));
  }
  write('two.json', variant(150, { swappiness: 10, pageCluster: 0 }));
  write('panic.json', { ...real, panic: { reason: 'threw', message: 'oh', held: [] } });
  write('bad.json', '{"schema": ');
  write('wrong.json', { schema: 'kreclaim.seeds/1' });
  write('cut.json', { schema: 'kreclaim.run/1', version: '1' });
  write('empty.json', {});
});

describe('runs', { timeout: 240_000 }, () => {
  it('takes turns, keeps reports, and its report compares again', async () => {
    const args = '--toggle memory=40%,70% --runs 2 --keep-reports kept --json c.json';
    const { code, stdout, stderr } = await compare(`small.csv ${args}`);
    expect(stderr).toMatch(
      /^1 of 4: A 1, .*\n2 of 4: B 1, .*\n3 of 4: B 2, .*\n4 of 4: A 2, .*\n$/,
    );
    expect(stdout).toMatch(/^memory: A 40%, B 70%; small\.csv; parallel; 2 pairs of runs, ABBA\n/);
    expect(stdout).toMatch(
      /\nintervals of so few runs cover 50 % at best; --runs 6 makes it 95 %\n/,
    );
    expect(stdout).toMatch(/\n {2}pgscan +[\d,]+ .*\n/);
    expect(code).toBe(0);
    const report = json('c.json');
    expect(report).toMatchObject({
      schema: 'kreclaim.compare/1',
      toggle: { name: 'memory', a: '40%', b: '70%' },
      plan: { runs: 2, order: 'ABBA', paired: true, jobs: 1, mode: 'parallel' },
      compared: { a: 2, b: 2 },
      confidence: 50,
      interrupted: false,
    });
    expect(report.runs.map(({ side, pair }) => `${side}${pair}`)).toEqual(['a1', 'b1', 'b2', 'a2']);
    expect(report.rows.find(({ counter }) => counter === 'pgscan')).toMatchObject({ runsA: 2 });
    expect(report.counts).toMatchObject({ more: 0, less: 0 });
    expect(report.sides.a.config.memory).toBeLessThan(report.sides.b.config.memory as number);
    expect(readdirSync(join(dir, 'kept')).sort()).toEqual([
      'a-1.json',
      'a-2.json',
      'b-1.json',
      'b-2.json',
    ]);

    const again = await compare('c.json --json again.json');
    expect(again.stdout).toBe(stdout);
    expect(json('again.json')).toEqual(report);
    const kept = await compare('kept/a-1.json kept/b-1.json --json kept.json');
    expect(json('kept.json').toggle?.name).toBe('memory');
    expect(kept.stdout).toMatch(/one run has no interval/);
  });

  it('gives every pair a seed where it is deterministic, and compares A with itself', async () => {
    const args = '--mode deterministic --events 200 --toggle vm.swappiness=60,60 --runs 2 --jobs 2';
    const { code } = await compare(`small.csv ${args} --json d.json -q`);
    expect(code).toBe(0);
    const { runs, rows, plan, counts } = json('d.json');
    expect(plan).toMatchObject({ mode: 'deterministic', jobs: 2 });
    expect(runs.map(({ side, seed }) => `${side}${seed}`)).toEqual(['a1', 'b1', 'b2', 'a2']);
    expect(rows.map(({ counter }) => counter)).not.toContain('wallMs');
    expect(rows.every(({ diff }) => diff === 0)).toBe(true);
    expect(counts).toMatchObject({ more: 0, less: 0, unclear: 0 });
  });

  it('reports what is there, and exits 130, when interrupted', async () => {
    const args = '--toggle swappiness=10,100 --runs 50 --json int.json';
    const { code, stdout } = await compare(`small.csv ${args}`, { interruptAt: '2 of 100' });
    expect(code).toBe(130);
    expect(stdout).toMatch(/ of 50 asked for, ABBA, interrupted\n/);
    const { runs, compared, interrupted } = json('int.json');
    expect(interrupted).toBe(true);
    expect(compared.a).toBeGreaterThanOrEqual(1);
    expect(runs.length).toBeLessThan(20);
  });

  it('exits 3 and says why when machines panic, and 130 when they run out of time', async () => {
    const env = { NODE_OPTIONS: `--import=${PLANT}`, PLANT: 'panic' };
    const args = 'small.csv --toggle swappiness=10,100 --runs 1 -q';
    const { code, stdout } = await compare(args, { env });
    expect(code).toBe(3);
    expect(stdout).toMatch(/\nrun 1 of A left out: kswapd0 threw: /);
    expect(stdout).toMatch(/\nverdict: nothing to compare\n$/);
    const late = await compare('quick --toggle swappiness=10,100 --runs 1 -q --timeout 0.05');
    expect(late.stdout).toMatch(/\nrun 1 of B left out: .*not done within the time limit\n/);
    expect(late.code).toBe(130);
  });
});

describe('saved reports', () => {
  it('are compared by side, and bounds are broken or hold', async () => {
    const files = 'a1.json a2.json a3.json a4.json --against b1.json b2.json b3.json b4.json';
    const { code, stdout } = await compare(`${files} --fail-on refaults>5% --all`);
    expect(stdout).toMatch(/^swappiness: A 60, B 10; /);
    expect(stdout).toMatch(/\n {2}refaults +103 +153 .* more\n/);
    expect(stdout).not.toMatch(/warning/);
    expect(stdout).toMatch(/\nfail-on refaults>5%: broken, the interval's near end is 4\d\.\d %\n/);
    expect(code).toBe(1);
    const holds = await compare(`${files} --fail-on refaults>60% --fail-on refaults<0`);
    expect(holds.stdout).toMatch(/\nfail-on refaults>60%: holds\nfail-on refaults<0: holds\n/);
    expect(holds.code).toBe(0);
  });

  it('warn where more than one thing differs, or nothing', async () => {
    const two = await compare('a1.json two.json');
    expect(two.stdout).toMatch(
      /\nwarning: A and B differ in 2 things: pageCluster \(3, 0\), swappiness \(60, 10\)\n/,
    );
    const none = await compare('a1.json a2.json');
    expect(none.stdout).toMatch(/\nwarning: A and B are the same machine /);
    const mixed = await compare('a1.json b1.json --against b2.json b3.json');
    expect(mixed.stdout).toMatch(/\nwarning: runs of A differ among themselves \(b1\.json\): /);
    const panic = await compare('a1.json panic.json');
    expect(panic.stdout).toMatch(/\nrun 1 of B left out: threw: oh\n/);
    expect(panic.code).toBe(3);
  });
});

describe('bad usage and bad input: one line, exit 2, nothing written', () => {
  const T = '--toggle swappiness=1,2';
  it.each([
    ['small.csv', /^compare: what differs\? give --toggle/],
    ['small.csv --toggle swappiness', /^--toggle: 'swappiness' will not do/],
    ['small.csv --toggle swappiness=1', /^--toggle: 'swappiness=1' will not do/],
    ['small.csv --toggle swappiness=1,2,3', /^--toggle: .* will not do/],
    ['small.csv --toggle swapines=1,2', /^--toggle: no option .*; near are swap/],
    ['small.csv --toggle runs=1,2', /^--toggle: no option or sysctl 'runs'/],
    ['small.csv --toggle lockdep=1,0', /^--toggle: .*; give on and off/],
    ['small.csv --toggle swappiness=1,900', /^--swappiness: 900 will not do/],
    ['small.csv --toggle lru=classic,mglru', /'mglru' is not in this version yet/],
    ['small.csv --toggle klruscand=off,on', /^--klruscand on is not in this version yet/],
    ['small.csv --toggle memory=64M,65536K', /makes the same machine twice/],
    [`small.csv ${T} --toggle nodes=1,2`, /^--toggle: one at a time/],
    [`small.csv ${T} --set vm.swappiness=5`, /^--toggle: swappiness is given beside it/],
    [`small.csv ${T} --runs 0`, /^--runs: '0' will not do/],
    [`small.csv ${T} --jobs x`, /^--jobs: 'x' will not do/],
    [`small.csv ${T} --same much`, /^--same: 'much' will not do/],
    [`small.csv ${T} --fail-on pgscan`, /^--fail-on: 'pgscan' will not do/],
    [`small.csv ${T} --fail-on pgscam>5%`, /^--fail-on: no counter 'pgscam'; near are pgscan/],
    [`small.csv ${T} --runs 1 --fail-on pgscan>5%`, /^--fail-on: needs an interval/],
    [`small.csv ${T} --mode deterministic --fail-on wallMs>1%`, /^--fail-on: wallMs needs real/],
    [`small.csv ${T} --against a1.json`, /^--against: goes with reports/],
    [`small.csv ${T} --json /nowhere/c.json`, /^\/nowhere\/c\.json: /],
    [`small.csv ${T} --keep-reports small.csv`, /^small\.csv: /],
    [`none.json ${T}`, /^none\.json: no such file/],
    [`empty.json ${T}`, /^empty\.json: 1:1: workloads: is missing/],
    [`none.csv ${T}`, /^none\.csv: no such file/],
    ['none.json a1.json', /^none\.json: no such file/],
    ['bad.json a1.json', /^bad\.json: not JSON/],
    ['wrong.json a1.json', /^wrong\.json: not a report to compare: its schema is 'kreclaim\.seeds/],
    ['empty.json a1.json', /^empty\.json: not a report to compare: it has no schema/],
    ['cut.json a1.json', /^cut\.json: \w+: /],
    ['a1.json', /^compare: 1 reports; give A\.json B\.json/],
    ['a1.json small.csv', /^compare: 'small\.csv' beside reports/],
    ['a1.json b1.json --memory 64M', /^--memory: goes with a scenario or traces/],
    ['a1.json b1.json --fail-on pgscan>5%', /^--fail-on: needs an interval/],
  ])('%s', async (line, expected) => {
    const before = readdirSync(dir).sort();
    const { code, stdout, stderr } = await compare(line);
    expect(stderr).toMatch(/^kreclaim: [^\n]+\n$/);
    expect(stderr.slice('kreclaim: '.length)).toMatch(expected);
    expect([code, stdout]).toEqual([2, '']);
    expect(readdirSync(dir).sort()).toEqual(before);
  });
});
