// SPDX-License-Identifier: GPL-2.0-only
/** Threads of a machine profile themselves: where the time went, asleep or not, panic or not. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Machine } from '../../dist/src/machine.js';
import { asleepSamplesOf, mergeProfiles, samplesOf } from '../../dist/src/profile/call_tree.js';
import { hotTable } from '../../dist/src/profile/hot_table.js';
import { withoutInlining } from '../../dist/src/profile/inlining.js';
import { readProfiles } from '../../dist/src/profile/profile_files.js';
import { noThreadLeft, rcuGp, toyThread, until, watchdog } from '../fixtures/toy.mjs';
import { toyParts } from '../fixtures/toy_engine.mjs';

const base = mkdtempSync(join(tmpdir(), 'kreclaim-profile-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const newDir = () => mkdtempSync(join(base, 'run-'));

const module = new URL('../fixtures/profile_threads.mjs', import.meta.url).href;
const thread = (comm: string, fn: string, args: unknown[] = []) => ({
  ...toyThread(comm, fn, args),
  module,
});

/** Turns of the burners' loops: a fifth of a second on a core, and more. */
const BURNT = 2e7;

/** Runs the threads until they have burnt enough. @returns the folder of their profiles */
async function profiled(specs: unknown[], threads?: readonly string[]) {
  const dir = newDir();
  const { parts, engine, toy } = toyParts([...specs, rcuGp, watchdog]);
  const profile = { dir, intervalUs: 500, ...(threads === undefined ? {} : { threads }) };
  const machine = await Machine.start(parts, { profile });
  await until('the burner has burnt', () => Atomics.load(toy.cells, 1) > BURNT);
  const state = await machine.shutdown();
  await noThreadLeft(engine);
  return { dir, state };
}

test('names the function that burns, and leaves sleepers out', async () => {
  const specs = [thread('burner', 'burner'), thread('sleeper', 'sleeper')];
  const { dir, state } = await withoutInlining(() => profiled(specs));
  expect(state.panic).toBeNull();
  expect(readdirSync(dir).sort()).toEqual(
    ['burner', 'khungtaskd', 'rcu_gp', 'sleeper'].map((comm) => `${comm}.cpuprofile`),
  );
  const root = mergeProfiles(await readProfiles(dir));
  const table = hotTable(root, ['burner']);
  expect(table.samples).toBeGreaterThan(50);
  expect(table.rows[0]).toMatchObject({ symbol: 'burnMuch', file: 'profile_threads.mjs' });
  expect(table.rows[0]?.percent).toBeGreaterThan(60);
  const little = table.rows.find(({ symbol }) => symbol === 'burnLittle');
  expect(little?.percent).toBeGreaterThan(2);
  expect(little?.percent).toBeLessThan(25);
  const sleeper = [...root.children.values()].find(({ name }) => name === 'sleeper');
  expect(asleepSamplesOf(sleeper as never)).toBeGreaterThan(50);
  expect(samplesOf(sleeper as never)).toBeLessThan(asleepSamplesOf(sleeper as never) / 4);
});

test('profiles the threads that were named, no others', async () => {
  const { dir } = await profiled([thread('burner', 'burner')], ['burn']);
  expect(readdirSync(dir)).toEqual(['burner.cpuprofile']);
});

test('a panic neither waits for profiles nor loses them', async () => {
  const dir = newDir();
  const specs = [
    thread('thrower', 'thrower', [20_000]),
    thread('sleeper', 'sleeper'),
    rcuGp,
    watchdog,
  ];
  const { parts, engine } = toyParts(specs);
  const machine = await Machine.start(parts, { profile: { dir, intervalUs: 200 } });
  const state = await machine.shutdown();
  await noThreadLeft(engine);
  expect(state.panic).toMatchObject({ comm: 'thrower', reason: 'threw' });
  expect(state.panic?.message).toContain('thrown under the profiler');
  const table = hotTable(mergeProfiles(await readProfiles(dir)), ['thrower']);
  expect(table.rows.map(({ symbol }) => symbol)).toContain('burnMuch');
});

test('a folder that is not there costs the profile, not the machine', async () => {
  const { parts, engine } = toyParts([thread('sleeper', 'sleeper'), rcuGp, watchdog]);
  const machine = await Machine.start(parts, { profile: { dir: join(base, 'none') } });
  const state = await machine.shutdown();
  await noThreadLeft(engine);
  expect(state.panic).toBeNull();
});

test('a worker that is ended from outside leaves no profile and no thread', async () => {
  const dir = newDir();
  const { parts, engine } = toyParts([thread('burner', 'burner'), rcuGp, watchdog]);
  const machine = await Machine.start(parts, { profile: { dir } });
  expect(machine.terminateThread('burner')).toBe(true);
  const state = await machine.shutdown();
  await noThreadLeft(engine);
  expect(state.panic?.reason).toBe('terminated');
  expect(readdirSync(dir)).not.toContain('burner.cpuprofile');
});
