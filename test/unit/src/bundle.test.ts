// SPDX-License-Identifier: GPL-2.0-only
/** When workers start from the bundle, and that what runs there is what the modules say. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { kthreadSpec } from '../../../dist/kthreads/engine.js';
import {
  bundledModules,
  hostFiles,
  nodeFlags,
  runBundle,
  threadEntry,
} from '../../../dist/src/bundle.js';
import { planScenario } from '../../../dist/src/workload/scenario.js';
import { bundledNames } from '../../../dist/src/workload/scenario_file.js';

const dist = new URL('../../../dist/', import.meta.url);
const at = (path: string) => new URL(path, dist).href;
const ref = (path: string) => ({ module: at(path), export: 'x' });
const engine = { ...ref('kthreads/mm_engine.js'), buffers: null, config: null };
const cpu = {
  ...kthreadSpec('cpu0', ref('kthreads/cpu.js')),
  programs: [{ ...ref('src/workload/replay_program.js'), args: null }],
};
type Specs = Parameters<typeof threadEntry>[0];
type Engine = Parameters<typeof threadEntry>[1];
type Types = Parameters<typeof hostFiles>[1];
const entryOf = (specs: Specs, of: Engine, plain: boolean, flags = '--stack-size=900') =>
  threadEntry(specs, of, plain, flags).pathname.split('/').at(-1);

/** What the builder says of a bundle. */
const manifestOf = (name: string): { modules: string[]; inputs: string[] } =>
  JSON.parse(readFileSync(new URL(`${name}.json`, dist), 'utf8'));

const folder = mkdtempSync(join(tmpdir(), 'kreclaim-bundle-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('bundle: the package itself runs from it', () => {
  expect(entryOf([cpu, kthreadSpec('rcu_gp', ref('kthreads/rcu_gp.js'))], engine, true)).toBe(
    'bundle.js',
  );
});

test('bundle: whatever a bundled scenario runs is in it', () => {
  const have = bundledModules(dist, 'kthreads/bundle');
  for (const name of bundledNames()) {
    const text = JSON.stringify(planScenario(name, {}).workload);
    const modules = text.match(/file:[^"]+\.js/g) ?? [];
    expect(modules).not.toEqual([]);
    expect(modules.filter((module) => !have.has(module))).toEqual([]);
  }
});

test('bundle: code of the user meets the modules themselves', () => {
  const own = { module: 'file:///tmp/own.js', export: 'x', args: null };
  expect(entryOf([{ ...cpu, programs: [own] }], engine, true)).toBe('entry.js');
  expect(entryOf([cpu], { ...engine, modules: [own] }, true)).toBe('entry.js');
  expect(entryOf([cpu, kthreadSpec('own', own)], engine, true)).toBe('entry.js');
  expect(entryOf([cpu], { ...engine, module: own.module }, true)).toBe('entry.js');
});

test('bundle: so does what looks at files, or changes them', () => {
  expect(entryOf([cpu], engine, false)).toBe('entry.js');
  for (const flags of ['--import file:///tmp/x.js', '--no-warnings --require=/tmp/x.cjs', '-r x']) {
    expect(entryOf([cpu], engine, true, flags), flags).toBe('entry.js');
  }
});

test('bundle: one that is older than what is in it is left alone', () => {
  mkdirSync(join(folder, 'kthreads'));
  const put = (path: string, text: string, atS: number) => {
    writeFileSync(join(folder, path), text);
    utimesSync(join(folder, path), atS, atS);
  };
  const base = pathToFileURL(`${folder}/`);
  expect([...bundledModules(base, 'kthreads/bundle')]).toEqual([]);
  const manifest = { modules: ['kthreads/a.js'], inputs: ['kthreads/a.js', 'kthreads/b.js'] };
  put('kthreads/bundle.json', JSON.stringify(manifest), 1000);
  put('kthreads/bundle.js', '', 1000);
  put('kthreads/a.js', '', 900);
  expect([...bundledModules(base, 'kthreads/bundle')], 'b.js is not there').toEqual([]);
  put('kthreads/b.js', '', 1000);
  expect([...bundledModules(base, 'kthreads/bundle')]).toEqual([`${base.href}kthreads/a.js`]);
  put('kthreads/b.js', '', 1001);
  expect([...bundledModules(base, 'kthreads/bundle')]).toEqual([]);
  put('kthreads/bundle.json', '{', 1000);
  put('kthreads/b.js', '', 1000);
  expect([...bundledModules(base, 'kthreads/bundle')]).toEqual([]);
});

test('bundle: run is in one, unless modules of the user may come along', () => {
  const nameOf = (...args: string[]) => runBundle(args, '')?.split('/').at(-1);
  expect(nameOf('run', 'quick', '--seed', '1')).toBe('run_bundle.js');
  expect(nameOf('run', 'quick', '--config', 'x.json')).toBeUndefined();
  expect(nameOf('run', 'quick', '--config=x.json')).toBeUndefined();
  expect(runBundle(['demo'], '--import ./x.js')).toBeNull();
});

test('bundle: a deterministic machine has both its host and its preload from one', () => {
  const filesOf = (specs: Specs, types: Types, flags?: string) => {
    const { host, preload, bundled } = hostFiles(specs, types, flags);
    return [host, preload].map((url) => url.slice(dist.href.length)).concat(`${bundled}`);
  };
  const bundles = ['src/deterministic/host_bundle.js', 'src/harness/preload_bundle.js', 'true'];
  const files = ['src/deterministic/host.js', 'src/harness/preload.js', 'false'];
  expect(filesOf([cpu], []), 'as the tests of such machines run').toEqual(bundles);
  const own = { module: 'file:///tmp/own.js', export: 'x', args: null };
  expect(filesOf([cpu], [own]), 'types of the user').toEqual(files);
  expect(filesOf([{ ...cpu, programs: [own] }], [])).toEqual(files);
  expect(filesOf([cpu], [], '--import file:///tmp/x.js')).toEqual(files);
});

test('bundle: of a host and its preload, both are new or neither is used', async () => {
  const copy = pathToFileURL(`${folder}/copy/`);
  const names = ['kthreads/bundle', 'src/deterministic/host_bundle', 'src/harness/preload_bundle'];
  const inputs = names.flatMap((name) => [
    `${name}.js`,
    `${name}.json`,
    ...manifestOf(name).inputs,
  ]);
  for (const path of inputs) {
    const to = fileURLToPath(new URL(path, copy));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(fileURLToPath(at(path)), to, { preserveTimestamps: true });
  }
  writeFileSync(`${folder}/copy/package.json`, '{"type":"module"}');
  // Without its source map, whose sources are not there.
  const code = fileURLToPath(new URL('src/bundle.js', copy));
  writeFileSync(code, readFileSync(code, 'utf8').replace(/^\/\/# source.*$/m, ''));
  utimesSync(code, 1, 1);
  const module = (await import(`${copy.href}src/bundle.js`)) as { hostFiles: typeof hostFiles };
  const threads = [
    kthreadSpec('rcu_gp', { module: `${copy.href}kthreads/rcu_gp.js`, export: 'x' }),
  ];
  const bundled = () =>
    Object.values(module.hostFiles(threads, [], '')).map((value) => /true|_bundle.js$/.test(value));
  expect(bundled()).toEqual([true, true, true]);
  for (const path of ['src/harness/patch.js', 'src/deterministic/host_schedule.js']) {
    const file = fileURLToPath(new URL(path, copy));
    const { mtimeMs } = statSync(file);
    utimesSync(file, Date.now() / 1e3, Date.now() / 1e3 + 10);
    expect(bundled(), path).toEqual([false, false, false]);
    utimesSync(file, mtimeMs / 1e3, mtimeMs / 1e3);
    expect(bundled()).toEqual([true, true, true]);
  }
});

test('bundle: the preload of a schedule, in either form, is none of the user', () => {
  const flagsOf = (...flags: string[]) => entryOf([cpu], engine, true, nodeFlags(flags));
  for (const name of ['preload', 'preload_bundle']) {
    const preload = ['--import', at(`src/harness/${name}.js`)];
    expect(flagsOf(...preload), name).toBe('bundle.js');
    expect(flagsOf(...preload, '--import', 'file:///tmp/x.js'), name).toBe('entry.js');
  }
});

test('bundle: host and preload share the state of the schedule', () => {
  const host = manifestOf('src/deterministic/host_bundle').inputs;
  const preload = manifestOf('src/harness/preload_bundle').inputs;
  expect(host).toContain('src/deterministic/host_schedule.js');
  expect(preload).toContain('src/harness/machine_schedule.js');
  // Functions without state, and one whose state is the global object's.
  const stateless = ['shared/prng.js', 'shared/schedule_hook.js'];
  expect(host.filter((path) => preload.includes(path) && !stateless.includes(path))).toEqual([]);
});

test('bundle: it has every module that a machine of the package names', () => {
  const { modules } = manifestOf('kthreads/bundle');
  const threads = readFileSync(new URL('src/machine_threads.js', dist), 'utf8');
  const named = [...threads.matchAll(/\bkthread\('(\w+)'/g)].map(
    ([, name]) => `kthreads/${name}.js`,
  );
  expect(named.length).toBeGreaterThan(6);
  expect(modules).toEqual(expect.arrayContaining(named));
});
