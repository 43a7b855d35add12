// SPDX-License-Identifier: GPL-2.0-only
/** Races in real workers: what is reported, what is not, and how modules get there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type ExploreReport, exploreReport } from '../../../dist/src/harness/index.js';

const folder = mkdtempSync(join(tmpdir(), 'kreclaim-race-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS = { race: true, replayDir: false, shrink: false, iterations: 100 } as const;

function explore(name: string, options: object = {}): Promise<ExploreReport> {
  const url = new URL(`../../fixtures/harness/race/${name}`, import.meta.url);
  return exploreReport(url, { ...OPTIONS, ...options });
}

/** `file:line` of both accesses of the races, the ones of a race in order. */
function places({ races }: ExploreReport): string[] {
  return races.map(({ first, second }) =>
    [first, second]
      .map(({ file, line }) => `${file.split('/').at(-1)}:${line}`)
      .sort()
      .join(' '),
  );
}

describe.each([[true], [false]])('races, plain accesses as points: %s', (plainPoints) => {
  test('two plain additions: both lines are named', async () => {
    const report = await explore('plain_race.mjs', { plainPoints });
    expect(report.failure?.kind).toBe('race');
    expect(places(report)).toEqual(['plain_race.mjs:12 plain_race.mjs:8']);
    expect(report.failure?.message).toMatch(/plain_race\.mjs:8:3 .*plain_race\.mjs:12:3|12:3.*8:3/);
    expect(report.failure?.text).toMatch(/at (first|second) \(.*plain_race\.mjs:(8|12)/);
  });

  test('the same under a lock: none', async () => {
    const report = await explore('locked.mjs', { plainPoints });
    expect(report.failure).toBe(null);
    expect(report.executions).toBe(100);
    expect(report.races).toEqual([]);
  });

  test('what is written after it was published', async () => {
    const report = await explore('early_publish.mjs', { plainPoints, strategy: 'random' });
    expect(report.failure?.kind).toBe('race');
    expect(places(report)).toEqual(['early_publish.mjs:10 early_publish.mjs:16']);
  });

  test('races that are meant are counted, with their reasons', async () => {
    const report = await explore('meant.mjs', { plainPoints });
    expect(report.failure).toBe(null);
    expect(report.races.map(({ reason }) => reason).sort()).toEqual([
      'a stale hint costs one more round',
      'a torn sum is only shown',
    ]);
  });

  test('memory that is used after it was given back', async () => {
    const report = await explore('freed.mjs', { plainPoints, strategy: 'random' });
    expect(report.failure?.message).toMatch(
      /freed at .*freed\.mjs:18:3 by thread 1 .*, atomic load at .*freed\.mjs:13:\d+ by thread 0/,
    );
  });

  test('an npm ring buffer, unmodified, has none', async () => {
    const report = await explore('ring.mjs', { plainPoints, include: ['ringbuf.js'] });
    expect(report.failure).toBe(null);
    expect(report.races).toEqual([]);
  });
});

describe('views', () => {
  test.each([
    ['fill', 'element'],
    ['set', 'slice'],
    ['copyWithin', 'indexOf'],
    ['sort', 'join'],
    ['reverse', 'at'],
    ['dataView', 'forEach'],
    ['bigint', 'reduce'],
    ['fill', 'spread'],
    ['fill', 'entries'],
    ['fill', 'set'],
    ['fill', 'dataView'],
  ])('%s and %s race', async (write, read) => {
    const report = await explore(`views.mjs?write=${write}&read=${read}`, { plainPoints: false });
    expect(report.failure?.kind).toBe('race');
    const lines = places(report)[0]?.match(/views\.mjs:(\d+)/g);
    expect(lines?.length).toBe(2);
    expect(new Set(lines).size).toBe(2);
  });
});

describe('orders of locks', () => {
  /** One execution in which one thread is through before the other begins. */
  const inTurn = { strategy: 'random', switchChance: 0, iterations: 1 };

  test.each([
    ['hand', /hand1 at \S*lock_orders\.mjs:17:7 < .* holding hand0 from/],
    ['package', /state\.words\[1\] at \S*lock_orders\.mjs:33:\d+ < .* holding state\.words\[0\]/],
  ])('%s: an inversion is predicted from a run without a deadlock', async (kind, message) => {
    const report = await explore(`lock_orders.mjs?kind=${kind}`, inTurn);
    expect(report.failure).toBe(null);
    expect(report.inversions.length).toBe(1);
    expect(report.inversions[0]?.message).toMatch(message);
    expect(new Set(report.inversions[0]?.edges.map(({ thread }) => thread))).toEqual(
      new Set([0, 1]),
    );
    const gated = await explore(`lock_orders.mjs?kind=${kind}&gate`, inTurn);
    expect(gated.inversions).toEqual([]);
  });
});

describe('modules on their way in', () => {
  test('TypeScript, and what it imports, with races and without', async () => {
    for (const race of [false, true]) {
      const report = await explore('typed.ts', { race });
      expect(report.failure?.message).toContain('lost: 1 after 2');
    }
  });

  test('JavaScript that imports TypeScript', async () => {
    const file = join(folder, 'mixed.mjs');
    writeFileSync(join(folder, 'part.ts'), 'export const one: number = 1;\n');
    writeFileSync(
      file,
      `import { one } from './part.ts';
      export const setup = () => { if (one !== 1) throw new Error('it was ' + one) };
      export const threads = [() => one, () => one];\n`,
    );
    for (const race of [false, true]) {
      const report = await exploreReport(pathToFileURL(file), { ...OPTIONS, race });
      expect(report.failure).toBe(null);
    }
  });

  test('a module whose function runs before it has loaded', async () => {
    const file = join(folder, 'cyclic.mjs');
    writeFileSync(
      file,
      `import { early } from './friend.mjs';
      export function at(list, i) { return list[i] }
      export function setup() { if (early !== 7) throw new Error('it was ' + early) }
      export const threads = [() => at([1], 0), () => at([1], 0)];\n`,
    );
    const friend = `import { at } from './cyclic.mjs';\nexport const early = at([7], 0);\n`;
    writeFileSync(join(folder, 'friend.mjs'), friend);
    expect((await exploreReport(pathToFileURL(file), OPTIONS)).failure).toBe(null);
  });

  test('CommonJS', async () => {
    expect(places(await explore('common.mjs'))).toEqual(['common_part.cjs:6 common_part.cjs:6']);
  });

  test.each([
    ['bad.ts', 'export let x: number = ;\n', /bad\.ts:1:24: /],
    ['bad.mjs', 'export let x = 1;\nlet y = ;\n', /bad\.mjs:2:9: /],
    ['enum.ts', 'export enum A { B }\n', /enum\.ts:1:\d+: .*enum/],
    ['reason.mjs', 'export let a = [1];\na[0]; // kreclaim-racy\n', /reason\.mjs:2: .*reason/],
  ])('%s does not load: one line says where and why', async (name, text, message) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    for (const race of [true, false]) {
      if (!race && name === 'reason.mjs') continue;
      const error: Error = await exploreReport(pathToFileURL(file), { ...OPTIONS, race }).then(
        () => new Error('it loaded'),
        (reason) => reason,
      );
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain('\n');
    }
  });

  test('more memory than a shadow can cover: one line', async () => {
    const file = join(folder, 'huge.mjs');
    const setup = 'export const setup = () => new SharedArrayBuffer(2 ** 29);\n';
    writeFileSync(file, `${setup}export function a() {}\nexport function b() {}\n`);
    await expect(exploreReport(pathToFileURL(file), OPTIONS)).rejects.toThrow(/at most 4096/);
  });
});
