// SPDX-License-Identifier: GPL-2.0-only
/** Shrinkers of the user's own: who calls them, for which node and group, and until when. */
import { describe, expect, it } from 'vitest';
import { Machine, MachineBootError, type RunReport, runWorkload } from '../../dist/src/index.js';
import * as W from '../fixtures/user_shrinkers.mjs';

const module = new URL('../fixtures/user_shrinkers.mjs', import.meta.url).href;
const vmas = [{ start: 65536, end: 65536 + 1024 }];

interface Case {
  readonly config?: object;
  readonly options?: object;
  readonly nodes?: number;
  readonly memcgs?: readonly number[];
  readonly setBits?: boolean;
}

async function run({ config, options, nodes = 1, memcgs = [0], setBits = false }: Case) {
  const words = new Int32Array(new SharedArrayBuffer(4 * W.WORDS));
  const program = { module, export: 'useMemory' };
  const args = { words, options, nodes, memcgs, setBits };
  const processes = [{ comm: 'user', cpus: [0], program, args, vmas }];
  const shrinkerTypes = [{ name: 'tale', module, export: 'tellTale', args: words }];
  const report: RunReport = await runWorkload({ processes }, { shrinkerTypes, nodes, ...config });
  expect(report.panic).toBeNull();
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0, details: [] });
  expect(words[W.RESULT]).toBe(0);
  expect(words[W.LATE_CALLS]).toBe(0);
  return { words, report };
}

const freed = (words: Int32Array, first: number) => [...words.slice(first, first + 4)];

describe.each(['rwsem', 'srcu', 'lockless', 'lockless-fixed'])('%s', (shrinker) => {
  it('runs in kswapd and in direct reclaim, until it is freed', async () => {
    const { words, report } = await run({ config: { shrinker } });
    expect(words[W.COUNTS_KSWAPD]).toBeGreaterThan(0);
    expect(words[W.COUNTS_DIRECT]).toBeGreaterThan(0);
    expect((words[W.SCANS_KSWAPD] as number) + (words[W.SCANS_DIRECT] as number)).toBeGreaterThan(
      0,
    );
    expect(words[W.ARGS_SEEN]).toBe(5);
    expect(report.config.shrinker).toBe(shrinker);
    expect(report.counters.kr_shrink_walk).toBeGreaterThan(0);
    expect(report.vmstat.slabs_scanned).toBeGreaterThan(0);
  });

  it('is called for each group whose bit is set', async () => {
    const config = { shrinker, memcgMax: '50%' };
    const options = { memcgAware: true };
    const { words } = await run({ config, options, memcgs: [0, 1], setBits: true });
    expect(freed(words, W.FREED_MEMCG)[1]).toBeGreaterThan(0);
    const unset = await run({ config, options, memcgs: [1] });
    expect(freed(unset.words, W.FREED_MEMCG)).toEqual([0, 0, 0, 0]);
  });
});

describe('what a shrinker is aware of', () => {
  it('nodes', async () => {
    const aware = await run({ nodes: 2, options: { numaAware: true } });
    const [first, second] = freed(aware.words, W.FREED_NODE);
    expect(first).toBeGreaterThan(0);
    expect(second).toBeGreaterThan(0);
  });

  it('groups, with objects that are not accounted, only when it holds no objects', async () => {
    const config = { kmem: false, memcgMax: '50%' };
    const memcgAware = { memcgAware: true };
    const slab = await run({ config, options: memcgAware, memcgs: [1], setBits: true });
    expect(freed(slab.words, W.FREED_MEMCG)).toEqual([0, 0, 0, 0]);
    const options = { ...memcgAware, nonslab: true };
    const nonslab = await run({ config, options, memcgs: [1], setBits: true });
    expect(freed(nonslab.words, W.FREED_MEMCG)[1]).toBeGreaterThan(0);
  });
});

it('files of the machine are read and written by path', async () => {
  const words = new Int32Array(new SharedArrayBuffer(4 * W.WORDS));
  const text = new Uint8Array(new SharedArrayBuffer(4096));
  const program = { module, export: 'useFiles' };
  const processes = [{ comm: 'user', cpus: [0], program, args: { words, text }, vmas }];
  const shrinkerTypes = [{ name: 'tale', module, export: 'tellTale', args: words }];
  const machine = await Machine.boot({ processes, shrinkerTypes, memcgsMax: 8, memory: '8M' });
  let count = '';
  try {
    await machine.run();
    await machine.atRest(() => {
      const file = machine.files().find((path) => /shrinker\/own-\d+\/count$/.test(path));
      count = machine.readFile(String(file));
    });
  } finally {
    await machine.shutdown();
  }
  const seen = JSON.parse(new TextDecoder().decode(text.slice(0, text.indexOf(0))));
  expect(seen).toEqual([
    ...['1 3\n2 9\n', 0, '1 3\n2 5\n', -22, -2, -1, -1],
    ...[0, '1 3\n2 5\n', 0, '', -22],
    ...['100\n', '2097152\n', 0, '1048576\n', -22, -1, -2, -2, -1],
    ...[true, true],
  ]);
  expect(count).toBe('1 5\n');
  expect(machine.vmstat()).toMatchObject({ drop_slab: 1, drop_pagecache: 2 });
});

describe('what will not do', () => {
  it('is an error of the call', async () => {
    const words = new Int32Array(new SharedArrayBuffer(4 * W.WORDS));
    const program = { module, export: 'misuse' };
    const processes = [{ comm: 'user', cpus: [0], program, args: words, vmas }];
    const tale = { name: 'tale', module, export: 'tellTale', args: words };
    const config = { shrinkersMax: 3, shrinkerTypes: [tale] };
    const report = await runWorkload({ processes }, config);
    expect(report.integrity.violations).toBe(0);
    const [unknown, none, free, ...rest] = words.slice(0, 12);
    expect([unknown, none, free]).toEqual([0, -22, -22]);
    expect(rest).toEqual([0, -22, -22, 0, -22, -22, -1, 0, -28]);
  });

  it.each([
    [
      { module: './no_such_file.mjs', export: 'x' },
      /no_such_file\.mjs, for its export x, does not/,
    ],
    [{ module, export: 'nobody' }, /user_shrinkers\.mjs exports no function nobody/],
    [{ module, export: 'noShrinker' }, /user_shrinkers\.mjs: its export noShrinker did not return/],
  ])('is an error of the boot: %j', async (type, expected) => {
    const processes = [{ comm: 'user', cpus: [0], program: { module, export: 'misuse' }, vmas }];
    const shrinkerTypes = [{ name: 'bad', args: null, ...type }];
    const error = await Machine.boot({ processes, shrinkerTypes }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MachineBootError);
    expect((error as Error).message).toMatch(expected);
    const config = { mode: 'deterministic', shrinkerTypes } as const;
    await expect(runWorkload({ processes }, config)).rejects.toThrow(expected);
  });

  it.each([
    ['throwsInCount', 'countObjects threw: no list'],
    ['throwsInScan', "scanObjects threw: 'no object'"],
    ['countsTooMany', 'countObjects returned 1073741824'],
    ['tooMany', 'scanObjects returned 1073741824'],
    ['notANumber', 'countObjects returned NaN'],
  ])('is a panic that nobody can catch: %s', async (name, says) => {
    const words = new Int32Array(new SharedArrayBuffer(4 * W.WORDS));
    const program = { module, export: 'catchesAll' };
    const processes = [{ comm: 'user', cpus: [0], program, args: words, vmas }];
    const shrinkerTypes = [{ name: 'tale', module, export: name, args: null }];
    for (const shrinker of ['rwsem', 'srcu', 'lockless-fixed'] as const) {
      words[0] = 0;
      const report = await runWorkload({ processes }, { shrinkerTypes, shrinker });
      expect(report.panic?.message).toContain(`BUG: shrinker type tale: ${says}`);
      expect(report.panic?.stack).toMatch(/user_shrinkers\.m?js/);
      expect(words[0]).toBeGreaterThan(0);
    }
  });

  const panicOf = async (args: object) => {
    const words = new Int32Array(new SharedArrayBuffer(4 * W.WORDS));
    const user = { words, options: {}, nodes: 1, memcgs: [0], setBits: false };
    const program = { module, export: 'useMemory', args: user };
    const processes = [{ comm: 'user', cpus: [0], program, vmas }];
    const shrinkerTypes = [{ name: 'tale', module, export: 'wrong', args }];
    return (await runWorkload({ processes }, { shrinkerTypes })).panic?.message;
  };

  it.each([
    [
      'count',
      Number.NaN,
      'BUG: shrinker type tale: countObjects returned NaN; give 0..1073741823 or SHRINK_EMPTY',
    ],
    ['count', '5', "BUG: shrinker type tale: countObjects returned '5'; give"],
    ['count', 1e15, 'BUG: shrinker type tale: countObjects returned 1000000000000000; give'],
    ['count', undefined, 'BUG: shrinker type tale: countObjects threw: count boom'],
    ['scan', undefined, 'BUG: shrinker type tale: scanObjects threw: count boom'],
    ['scan', -2, 'BUG: shrinker type tale: scanObjects returned -2; give'],
  ])('is a panic that names the type: %s %s', async (what, value, expected) => {
    const message = await panicOf({ what, value });
    expect(message?.slice(0, expected.length)).toBe(expected);
  });

  it('is an error of the boot that names type and module: a factory that throws', async () => {
    const expected = /type tale: its factory wrong of .*user_shrinkers\.mjs threw: no cache/;
    await expect(panicOf({ what: 'factory' })).rejects.toThrow(expected);
  });
});
