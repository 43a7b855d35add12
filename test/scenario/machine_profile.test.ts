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

/** Runs the threads until they were sampled often enough: V8's sampler needs a core, too. */
async function sampled(specs: unknown[], comms: readonly string[]) {
  const profiles: Awaited<ReturnType<typeof readProfiles>> = [];
  for (;;) {
    const { dir, state } = await withoutInlining(() => profiled(specs));
    expect(state.panic).toBeNull();
    expect(readdirSync(dir).sort()).toEqual(comms.map((comm) => `${comm}.cpuprofile`));
    profiles.push(...(await readProfiles(dir)));
    const root = mergeProfiles(profiles);
    const sleeper = [...root.children.values()].find(({ name }) => name === 'sleeper') as never;
    const table = hotTable(root, ['burner']);
    if (table.samples >= 400 && asleepSamplesOf(sleeper) >= 200) return { table, sleeper };
  }
}

test('names the function that burns, and leaves sleepers out', async () => {
  const specs = [thread('burner', 'burner'), thread('sleeper', 'sleeper')];
  const comms = ['burner', 'khungtaskd', 'rcu_gp', 'sleeper'];
  const { table, sleeper } = await sampled(specs, comms);
  expect(table.rows[0]).toMatchObject({ symbol: 'burnMuch', file: 'profile_threads.mjs' });
  const percent = (name: string) => table.rows.find(({ symbol }) => symbol === name)?.percent ?? 0;
  const [much, little] = [percent('burnMuch'), percent('burnLittle')];
  // Nine of ten, of the two: what the thread does at its start is neither.
  expect(much / (much + little)).toBeGreaterThan(0.8);
  expect(much / (much + little)).toBeLessThan(0.97);
  expect(samplesOf(sleeper)).toBeLessThan(asleepSamplesOf(sleeper));
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
