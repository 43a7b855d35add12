// SPDX-License-Identifier: GPL-2.0-only
/** What is made of profiles: trees, tables, flame graphs, folded stacks. */
import { describe, expect, it } from 'vitest';
import {
  mergeProfiles,
  samplesOf,
  sourceSleepTest,
} from '../../../../dist/src/profile/call_tree.js';
import { flamePage, foldedStacks } from '../../../../dist/src/profile/flame_graph.js';
import { formatHotTable, hotTable, shareOf } from '../../../../dist/src/profile/hot_table.js';
import { parseProfile } from '../../../../dist/src/profile/profile_files.js';

const SHRINKER = 'file:///x/src/mm/shrinker_walk.js';
const RWSEM = 'file:///x/shared/rwsem.js';
const HELD = 'file:///x/shared/held_locks.js';

/** walk -> (trylock -> held record), unlock, park; numbers are samples with it innermost. */
const recorded = {
  nodes: [
    node(1, '(root)', '', 0, [2, 9]),
    node(2, 'walk', SHRINKER, 20, [3, 5, 6]),
    node(3, 'rwsemTryRead', RWSEM, 30, [4]),
    node(4, 'heldPush', HELD, 5),
    node(5, 'rwsemUpRead', RWSEM, 25),
    {
      ...node(6, 'park', RWSEM, 40),
      positionTicks: [
        { line: 7, ticks: 35 },
        { line: 8, ticks: 5 },
      ],
    },
    node(9, '(program)', '', 10),
  ],
  startTime: 0,
  endTime: 130_000,
};

function node(id: number, name: string, url: string, hits: number, children: number[] = []) {
  return { id, callFrame: { functionName: name, url, lineNumber: id }, hitCount: hits, children };
}

const sleeps = (url: string, line: number) => url === RWSEM && line === 7;
const tree = (...comms: string[]) =>
  mergeProfiles(
    comms.map((comm) => ({ comm, profile: parseProfile(JSON.stringify(recorded), 'a') })),
    sleeps,
  );

describe('hot table', () => {
  it('charges folded helpers to their callers and leaves sleep out', () => {
    const table = hotTable(tree('kswapd0'));
    expect(table).toMatchObject({ samples: 95, asleep: 35 });
    expect(table.rows.map(({ symbol, samples }) => [symbol, samples])).toEqual([
      ['down_read_trylock', 35],
      ['up_read', 25],
      ['walk', 20],
      ['(program)', 10],
      ['park', 5],
    ]);
    expect(table.rows[0]).toMatchObject({ functions: ['rwsemTryRead'], file: 'rwsem.ts' });
    expect(shareOf(table, ['down_read_trylock', 'up_read'])).toBeCloseTo((100 * 60) / 95);
  });

  it('charges WebAssembly to its caller', () => {
    const nodes = [
      node(1, '(root)', '', 0, [2]),
      node(2, 'look', 'file:///x/src/mm/shrink_kernel.js', 1, [3]),
      node(3, 'js-to-wasm:ii:i', '', 2, [4]),
      node(4, 'wasm-function[3]', 'wasm://wasm/becf7bbe', 4),
    ];
    const root = mergeProfiles(
      [{ comm: 'a', profile: { nodes, startTime: 0, endTime: 1 } }],
      sleeps,
    );
    expect(hotTable(root).rows).toMatchObject([
      { symbol: 'shrink_slab', functions: ['look'], file: 'shrink_kernel.ts', samples: 7 },
    ]);
  });

  it('merges threads, and picks them by name', () => {
    expect(hotTable(tree('kswapd0', 'kswapd1', 'cpu0')).samples).toBe(285);
    expect(hotTable(tree('kswapd0', 'kswapd1', 'cpu0'), ['kswapd']).samples).toBe(190);
    expect(hotTable(tree('a'), ['b'])).toEqual({ rows: [], samples: 0, asleep: 0 });
  });

  it('stands beside published shares, those that were not seen here at the end', () => {
    const published = { down_read_trylock: 33.15, up_read: 21.75, intel_idle_irq: 1.8 };
    expect(formatHotTable(hotTable(tree('a')), published, 15)).toEqual([
      '  here %  seed %  symbol             functions     file',
      '    36.8   33.15  down_read_trylock  rwsemTryRead  rwsem.ts',
      '    26.3   21.75  up_read            rwsemUpRead   rwsem.ts',
      '    21.1       -  walk               walk          shrinker_walk.ts',
      '       -    1.80  intel_idle_irq',
    ]);
  });
});

describe('profiles', () => {
  it.each([
    ['{', /not JSON/],
    ['{}', /not a profile: nodes/],
    ['{"nodes":[],"startTime":0,"endTime":0}', /not a profile: nodes/],
    ['{"nodes":[{"id":1}],"startTime":0,"endTime":0}', /nodes\.0\.callFrame/],
  ])('%s is refused', (text, expected) => {
    expect(() => parseProfile(text, 'x.cpuprofile')).toThrow(expected);
  });

  it('end where a file names a node as its own descendant', () => {
    const nodes = [node(1, '(root)', '', 0, [2]), node(2, 'f', '', 1, [2])];
    const profile = { nodes, startTime: 0, endTime: 1 };
    expect(samplesOf(mergeProfiles([{ comm: 'a', profile }], sleeps))).toBe(1);
  });

  it('know a line that sleeps by its source', () => {
    const test = sourceSleepTest();
    const url = new URL('../../../../dist/shared/wait_queue.js', import.meta.url).href;
    const lines = Array.from({ length: 200 }, (_, at) => at + 1).filter((line) => test(url, line));
    expect(lines).toHaveLength(1);
    expect(test('file:///not/there.js', 1)).toBe(false);
    expect(test('node:fs', 1)).toBe(false);
  });
});

describe('flame graph', () => {
  it('is one page that asks for nothing', () => {
    const page = flamePage(tree('kswapd0'), 'rwsem <2 threads>', 'a & b');
    expect(page).toContain('<h1>rwsem &lt;2 threads&gt;</h1><p>a &amp; b</p>');
    expect(page).toContain('rwsemTryRead (down_read_trylock) rwsem.js:4: 36.84 %, itself 31.58 %');
    expect(page).not.toMatch(/https?:|src=|href=|@import/);
    const opened = page.match(/<div/g)?.length;
    expect(page.match(/<\/div>/g)?.length).toBe(opened);
  });

  it('has a page without samples too', () => {
    expect(flamePage(mergeProfiles([]), 't', 'r')).toContain('no sample on a core');
  });

  it('gives folded stacks', () => {
    expect(foldedStacks(tree('kswapd0')).split('\n')).toEqual([
      'kswapd0;walk 20',
      'kswapd0;walk;rwsemTryRead 30',
      'kswapd0;walk;rwsemTryRead;heldPush 5',
      'kswapd0;walk;rwsemUpRead 25',
      'kswapd0;walk;park 5',
      'kswapd0;(program) 10',
      '',
    ]);
  });
});
