// SPDX-License-Identifier: GPL-2.0-only
/** From options to a configuration: sizes, definitions, threads, and what is refused. */
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { resolveMachine } from '../../../dist/src/config.js';
import { parseConfig, parseConfigText } from '../../../dist/src/config_schema.js';
import { UsageError } from '../../../dist/src/errors.js';
import { machineThreads } from '../../../dist/src/machine_threads.js';
import { arenaBytes } from '../../../dist/src/mm/mm.js';
import { parseSize } from '../../../dist/src/size.js';
import { generateTrace } from '../../../dist/src/workload/generators.js';
import { replayProcesses, vmaTables } from '../../../dist/src/workload/workload.js';

const PAGES = 2000;
const trace = generateTrace({ kind: 'scan', pages: PAGES, events: PAGES });
const one = replayProcesses([trace], undefined, false);

const resolved = (config: object, processes = one) => resolveMachine(config, processes);

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

describe('sizes', () => {
  it.each([
    ['64M', { pages: 16384 }],
    ['64 MiB', { pages: 16384 }],
    ['1.5g', { pages: 393216 }],
    ['8192', { pages: 2 }],
    [8192, { pages: 2 }],
    ['4095', { pages: 0 }],
    ['50%', { fraction: 0.5 }],
    ['12.5 %', { fraction: 0.125 }],
  ])('%s', (size, expected) => {
    expect(parseSize('memory', size)).toEqual(expected);
  });

  it.each(['', 'x', '-1', '1e9', '0x10', '5X', '0%', '-5%', '%', 'NaN', Number.NaN, -1, Infinity])(
    'refuses %s',
    (size) => {
      expect(messageOf(() => parseSize('memory', size))).toMatch(/^memory: .*give .*$/);
    },
  );
});

describe('processes', () => {
  const [first] = one as [(typeof one)[number]];
  const of = (change: object) => resolved({}, [{ ...first, args: undefined, ...change }]);
  const ref = { module: 'file:///a.mjs', export: 'b' };

  it('have their arguments in the program or beside it', () => {
    const args = [1];
    expect(of({ program: ref, args }).mm.processes[0]).toMatchObject({ program: ref, args });
    const inside = of({ program: { ...ref, args } }).mm.processes[0];
    expect(inside?.program).toEqual(ref);
    expect(inside?.args).toBe(args);
    expect(messageOf(() => of({ program: { ...ref, args }, args: [2] }))).toMatch(
      /give them once$/,
    );
  });

  it('have no keys that nothing reads', () => {
    const stray = (change: object) => messageOf(() => of(change));
    expect(stray({ arg: 1 })).toMatch(/^processes\[0\]: unknown key 'arg'; known are comm, cpus, /);
    expect(stray({ program: { ...ref, name: 'x' } })).toMatch(
      /^processes\[0\]\.program: unknown key 'name'; known are module, export, args$/,
    );
  });
});

describe('definitions', () => {
  it('memory is a part of the footprint, at least 512 pages for each node', () => {
    expect(resolved({ memory: '50%' }).mm.nodes).toEqual([{ zonePages: [1000] }]);
    expect(resolved({ memory: '1%' }).mm.nodes).toEqual([{ zonePages: [512] }]);
    expect(resolved({ memory: '1%', nodes: 2 }).mm.nodes).toHaveLength(2);
    expect(resolved({ memory: 4096 * 1025, nodes: 2 }).mm.nodes).toEqual([
      { zonePages: [513] },
      { zonePages: [512] },
    ]);
  });

  it('a group limit makes the node twice the footprint', () => {
    const { mm } = resolved({ memcgMax: '25%' });
    expect(mm.nodes).toEqual([{ zonePages: [2 * PAGES] }]);
    expect(mm.memcgs[1]).toEqual({ name: 'programs', parent: 0, maxPages: 500 });
    expect(mm.processes.map(({ memcg }) => memcg)).toEqual([1]);
    const both = resolved({ memcgMax: '25%', memory: '75%' }).mm;
    expect(both.nodes).toEqual([{ zonePages: [1500] }]);
  });

  it('swap is twice the footprint unless told', () => {
    expect(resolved({}).mm.swapPages).toBe(2 * PAGES);
    expect(resolved({ swapSize: '4M' }).mm.swapPages).toBe(1024);
    expect(resolved({ swap: 'none' }).mm.swapPages).toBe(0);
  });

  it('the footprint is summed over address spaces', () => {
    const four = replayProcesses([trace], 4, false);
    expect(resolved({}, four).footprintPages).toBe(4 * PAGES);
    const shared = replayProcesses([trace], 4, true);
    expect(shared[0]?.cpus).toEqual([0, 1, 2, 3]);
    expect(resolved({}, shared).footprintPages).toBe(PAGES);
  });

  it('makes a thread for each CPU and each daemon, CPUs first', () => {
    const { mm } = resolved({ nodes: 2 }, replayProcesses([trace], 3, false));
    const comms = [
      'cpu0',
      'cpu1',
      'cpu2',
      'kswapd0',
      'kswapd1',
      'rcu_gp',
      'khungtaskd',
      'oom_reaper',
    ];
    expect(machineThreads(mm).map(({ comm }) => comm)).toEqual(comms);
  });

  it('takes its own resolved configuration back', () => {
    for (const config of [{}, { memcgMax: '25%' }, { swap: 'none' }, { nodes: 3, tlb: 64 }]) {
      const first = resolved(config);
      const again = resolved(first.config);
      expect(again.config).toEqual(first.config);
      expect(again.mm).toEqual(first.mm);
    }
  });

  it('counts page tables of all four levels', () => {
    expect(vmaTables([{ start: 0, end: 1 }])).toBe(4);
    expect(vmaTables([{ start: 511, end: 513 }])).toBe(5);
    expect(vmaTables([{ start: 0, end: 2 ** 18 + 1 }])).toBe(512 + 1 + 2 + 1 + 1);
  });
});

describe('shrinkers', () => {
  it('are lockless and fixed, in small tables, unless told', () => {
    expect(resolved({}).mm).toMatchObject({
      shrinker: 'lockless-fixed',
      kmem: true,
      rmapTryLock: true,
      vfsCachePressure: 100,
      memcgsMax: 1,
      shrinkersMax: 64,
      superBlocksMax: 16,
      dentriesMax: 1024,
      inodesMax: 1024,
      filePagesMax: 1024,
      shrinkerTypes: [],
    });
    const small = arenaBytes({ ...resolved({}).mm, memcgsMax: 1, shrinkersMax: 1 });
    expect(arenaBytes(resolved({}).mm) - small).toBeLessThan(1 << 20);
  });

  it('take every option', () => {
    const config = {
      shrinker: 'srcu',
      kmem: false,
      'rmap-trylock': false,
      'vm.vfs_cache_pressure': 250,
      'memcgs-max': 4001,
      shrinkersMax: 4002,
      mountsMax: 4003,
      dentriesMax: 9000,
      inodesMax: 8000,
      filePagesMax: 7000,
    };
    expect(resolved(config).mm).toMatchObject({
      shrinker: 'srcu',
      kmem: false,
      rmapTryLock: false,
      vfsCachePressure: 250,
      memcgsMax: 4001,
      shrinkersMax: 4002,
      superBlocksMax: 4003,
      dentriesMax: 9000,
      inodesMax: 8000,
      filePagesMax: 7000,
    });
    expect(resolved({ memcgsMax: 1, memcgMax: '25%' }).config.memcgsMax).toBe(2);
  });

  it("a user's type is a module by URL or path, and an export of it", () => {
    const types = (...shrinkerTypes: object[]) => resolved({ shrinkerTypes }).config.shrinkerTypes;
    const cache = { name: 'cache', module: 'file:///a/cache.mjs', export: 'cache', args: [1] };
    expect(types(cache)).toEqual([cache]);
    const [byPath] = types({ ...cache, module: 'cache.mjs', args: undefined });
    expect(byPath).toMatchObject({ module: pathToFileURL('cache.mjs').href, args: null });
  });

  it.each([
    [{ memcgsMax: 65536, shrinkersMax: 65536 }, /^memcgsMax: .*above the limit of 4 GiB/],
    [{ shrinker: 'lock' }, /^shrinker: 'lock' will not do; give 'rwsem', 'srcu', 'lockless' or/],
    [{ kmem: 'on' }, /^kmem: 'on' will not do; give true or false/],
    [{ 'vm.vfs_cache_pressure': 1001 }, /^vfsCachePressure: 1001 will not do/],
    [{ memcgsMax: 65537 }, /^memcgsMax: 65537 will not do/],
    [{ mountsMax: 0 }, /^mountsMax: 0 will not do/],
    [{ shrinkerTypes: 'x' }, /^shrinkerTypes: 'x' will not do; give \[\{ name/],
    [{ shrinkerTypes: [{ name: '', module: 'a', export: 'b' }] }, /^shrinkerTypes\.0\.name: /],
    [{ shrinkerTypes: [{ name: 'a', export: 'b' }] }, /^shrinkerTypes\.0\.module: /],
    [
      { shrinkerTypes: ['a', 'b'].map((module) => ({ name: 'x', module, export: 'e' })) },
      /give each type a name of its own/,
    ],
  ])('%j is refused in one line', (config, expected) => {
    const message = messageOf(() => resolved(config));
    expect(message).toMatch(expected);
    expect(message).not.toContain('\n');
  });
});

describe('page cache and zswap', () => {
  it('take every option, by name, as a sysctl and as a parameter', () => {
    const config = {
      hostFiles: ['.'],
      'read-ahead-kb': 64,
      'vm.dirty_ratio': 30,
      dirtyBackgroundRatio: 5,
      'vm.dirty_writeback_centisecs': 100,
      'zswap.max_pool_percent': 33,
      'zswap.accept_threshold_percent': 70,
      'zswap.shrinker_enabled': 'Y',
    };
    expect(resolved(config).mm).toMatchObject({
      hostFiles: true,
      hostDirs: ['.'],
      readAheadKb: 64,
      dirtyRatio: 30,
      dirtyBackgroundRatio: 5,
      dirtyWritebackCentisecs: 100,
      zswap: { maxPoolPercent: 33, acceptThresholdPercent: 70, shrinkerEnabled: true },
    });
    expect(resolved({ hostFiles: true }).mm).toMatchObject({ hostFiles: true, hostDirs: [] });
    expect(resolved({}).mm).toMatchObject({
      hostFiles: false,
      hostDirs: [],
      zswap: { maxPoolPercent: 20, acceptThresholdPercent: 90, shrinkerEnabled: false },
    });
  });

  it.each([
    [{ hostFiles: ['/nowhere'] }, /^hostFiles: '\/nowhere' is no directory/],
    [{ hostFiles: '.' }, /^hostFiles: '\.' will not do; give true, false, or a list/],
    [{ hostFiles: ['src', 'test'], mountsMax: 1 }, /^mountsMax: 1 is too little for 2 direct/],
    [
      { hostFiles: ['src', './src'] },
      /^hostFiles: 'src' is in '\.\/src'; mount each directory once/,
    ],
    [{ hostFiles: ['.', 'src'] }, /^hostFiles: 'src' is in '\.'; mount each directory once/],
    [{ hostFiles: ['src', '.'] }, /^hostFiles: 'src' is in '\.'; mount each directory once/],
    [{ hostFiles: ['.'], contents: false }, /^hostFiles: needs page contents/],
    [{ 'zswap.max_pool_percent': 101 }, /^zswapMaxPoolPercent: 101 will not do/],
    [{ 'zswap.shrinker_enabled': 'on' }, /^zswapShrinkerEnabled: 'on' will not do; give Y or N/],
  ])('%j is refused in one line', (config, expected) => {
    const message = messageOf(() => resolved(config));
    expect(message).toMatch(expected);
    expect(message).not.toContain('\n');
  });
});

describe('wrong values are one line that names them', () => {
  it.each([
    [{ memory: 0 }, /^memory: 0 is too little; give at least 2048K/],
    [{ memory: '1M' }, /^memory: 1M is too little/],
    [{ memory: '3M', nodes: 2 }, /too little for 2 nodes/],
    [{ memory: -1 }, /^memory: -1 is not a size/],
    [{ memory: Number.NaN }, /^memory: NaN will not do/],
    [{ memory: '64G' }, /^memory: 64 GiB is above the limit/],
    [{ memory: [] }, /^memory: \[\] will not do/],
    [{ memcgMax: '100K' }, /^memcgMax: 100K is too little/],
    [{ swapSize: '1K' }, /^swapSize: 1K is too little/],
    [{ swapSize: '64G' }, /^swapSize: 64G is above the limit/],
    [{ cpus: 0 }, /^cpus: 0 will not do; give an integer in 1\.\.32/],
    [{ cpus: 33 }, /^cpus: 33/],
    [{ cpus: 1.5 }, /^cpus: 1\.5/],
    [{ cpus: '2' }, /^cpus: '2'/],
    [{ nodes: 17 }, /^nodes: 17/],
    [{ swappiness: 201 }, /^swappiness: 201/],
    [{ 'vm.swappiness': -1 }, /^swappiness: -1/],
    [{ pageCluster: 6 }, /^pageCluster: 6/],
    [{ minFreeKbytes: 0 }, /^minFreeKbytes: 0/],
    [{ watermarkScaleFactor: 3001 }, /^watermarkScaleFactor: 3001/],
    [{ tlb: 48 }, /^tlb: 48 will not do; give a power of two/],
    [{ hungTask: 0 }, /^hungTask: 0/],
    [{ timeout: Infinity }, /^timeout: Infinity/],
    [{ seed: -1 }, /^seed: -1/],
    [{ contents: 'off' }, /^contents: 'off'/],
    [{ lru: 'mglru' }, /^lru: 'mglru' is not in this version yet/],
    [{ lru: 'fifo' }, /^lru: 'fifo' will not do/],
    [{ mode: 'stochastic' }, /^mode: 'stochastic' will not do; give 'parallel' or/],
    [{ faults: { fail_page_alloc: '1/0' } }, /^faults/],
    [{ faults: { nothing: '1/2' } }, /^faults.*fail_page_alloc/],
    [{ faultSeed: -1 }, /^faultSeed: -1/],
    [{ swap: 'ssd' }, /^swap: 'ssd' will not do; give 'zram', 'file', 'zswap' or 'none'/],
    [{ swapDevices: [] }, /^swapDevices.*1\.\.23 devices/],
    [{ swap: 'none', swapDevices: [{ kind: 'zram', sizePages: 9 }] }, /^swapDevices: swap is/],
    [{ swapDevices: [{ kind: 'zram', sizePages: 9, path: 'x' }] }, /^swapDevices: zram has no/],
    [{ memroy: 1 }, /^unknown option 'memroy'; known are memory,/],
    [{ 'vm.foo': 1 }, /^unknown option 'vm\.foo'/],
  ])('%j', (config, expected) => {
    const message = messageOf(() => resolved(config));
    expect(message).toMatch(expected);
    expect(message).not.toContain('\n');
  });

  it.each([null, 7, 'x', []])('refuses %j for a configuration', (config) => {
    expect(messageOf(() => parseConfig(config))).toMatch(/not a configuration/);
  });

  it('refuses processes that cannot be', () => {
    const [spec] = one as [(typeof one)[0]];
    const cases: [object[], RegExp][] = [
      [[], /^processes: 0 will not do/],
      [[{ ...spec, cpus: [] }], /has no CPU/],
      [[{ ...spec, cpus: [1] }], /CPU 1 will not do/],
      [[spec, spec], /CPU 0 will not do/],
      [[{ ...spec, comm: '' }], /has no name/],
      [[{ ...spec, vmas: [{ start: 5, end: 5 }] }], /VMA 5\.\.5 will not do/],
      [[{ ...spec, vmas: [{ start: 0, end: 2 ** 36 + 1 }] }], /will not do/],
      [[{ ...spec, pageTables: 2 ** 24 }], /more page tables/],
    ];
    for (const [processes, expected] of cases) {
      expect(messageOf(() => resolved({}, processes as typeof one))).toMatch(expected);
    }
    expect(messageOf(() => replayProcesses([trace, trace], 1, false))).toMatch(/2 traces/);
    expect(messageOf(() => replayProcesses([trace, trace], 2, true))).toMatch(/^share:/);
    expect(messageOf(() => replayProcesses([], 1, false))).toMatch(/no trace/);
  });

  it('names the file that it read', () => {
    expect(parseConfigText('{"vm.swappiness": 10, "memcg-max": "25%"}', 'a.json')).toEqual({
      swappiness: 10,
      memcgMax: '25%',
    });
    expect(messageOf(() => parseConfigText('{', 'a.json'))).toMatch(/^a\.json: not JSON/);
    expect(messageOf(() => parseConfigText('{"x":1}', 'a.json'))).toMatch(/^a\.json: unknown/);
  });
});
