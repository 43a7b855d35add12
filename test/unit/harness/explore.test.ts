// SPDX-License-Identifier: GPL-2.0-only
/** What a test that calls `explore` gets: a verdict, a report, a replay, or one line. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type ExploreOptions,
  explore,
  exploreReport,
  ScenarioError,
  ScenarioFailure,
} from '../../../dist/src/harness/index.js';

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-explore-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const fixture = (name: string) => new URL(`../../fixtures/explore/${name}.mjs`, import.meta.url);
const fail = async (name: string, options: ExploreOptions = {}) => {
  const report = await exploreReport(fixture(name), { replayDir: false, ...options });
  if (report.failure === null) throw new Error(`${name} held`);
  return report.failure;
};

describe('explore', () => {
  it('returns what was run when nothing fails', async () => {
    const report = await explore(fixture('correct'));
    expect(report).toMatchObject({ executions: 500, failure: null, threads: ['first', 'second'] });
    expect(report.options).toMatchObject({ iterations: 500, strategy: 'mix' });
  });

  it('lets explicit options win over the scenario’s own', async () => {
    const report = await explore(fixture('correct'), { iterations: 7, strategy: 'round-robin' });
    expect(report.options).toMatchObject({ iterations: 7, strategy: 'round-robin' });
  });

  it('throws the whole report, with the line that replays it', async () => {
    const failed = explore(fixture('lost_update'), { replayDir: dir });
    await expect(failed).rejects.toThrow(ScenarioFailure);
    const message = await failed.catch((error: Error) => error.message);
    expect(message).toMatch(/lost_update\.mjs: check failed: lost update: 1 of 2\n/);
    expect(message).toMatch(/\n +\d+ {3}load state\.words\[0\] = 0 .*lost_update\.mjs:\d+/);
    expect(message).toMatch(
      /\nreplay: kreclaim explore \S+ --replay \S+lost_update\.replay\.json$/,
    );
  });

  it('replays to the same failure, hash for hash', async () => {
    const replay = join(dir, 'lost_update.replay.json');
    const failure = await fail('lost_update', { replay });
    const recorded = JSON.parse(readFileSync(replay, 'utf8')) as { hash: number };
    expect(failure).toMatchObject({ hash: recorded.hash, kind: 'check', replayFile: replay });
  });

  it('gives the same hash for the same seed', async () => {
    const hash = async (seed: number) =>
      (await explore(fixture('correct'), { seed, strategy: 'random' })).hash;
    const [first, again, other] = [await hash(5), await hash(5), await hash(6)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  it('ends after its current execution when told to', async () => {
    const controller = new AbortController();
    controller.abort();
    const options = { iterations: 1e9, seconds: 600, signal: controller.signal };
    const report = await explore(fixture('correct'), options);
    expect(report).toMatchObject({ interrupted: true, failure: null });
    const later = new AbortController();
    const onProgress = () => later.abort();
    const cut = await explore(fixture('correct'), { ...options, signal: later.signal, onProgress });
    expect(cut.interrupted).toBe(true);
    expect(cut.executions).toBeGreaterThan(0);
  });
});

describe('a failure is told apart', () => {
  it('deadlock: who waits for what, left by whom, in a ring', async () => {
    const failure = await fail('abba');
    expect(failure.kind).toBe('deadlock');
    expect(failure.facts).toEqual(['each waits for the next: left -> right -> left']);
    const [left] = failure.threads;
    expect(left).toMatchObject({ name: 'left', state: 'spins' });
    expect(left?.doing).toMatch(/^spins on state\.locks\[1\] \(= 1, left by right at step \d+ \(/);
    expect(left?.frames.map((frame) => frame.fn)).toEqual(['lock', 'left']);
    expect(failure).toMatchObject({ switches: 1, steps: 4 });
  });

  it('deadlock of locks that sleep: who marked a lock does not hold it', async () => {
    const mutexes = new URL('../../zoo/bugs/abba_mutex.mjs', import.meta.url);
    const { failure } = await exploreReport(mutexes, { replayDir: false });
    expect(failure?.kind).toBe('deadlock');
    expect(failure?.facts).toEqual(['each waits for the next: back -> forth -> back']);
    expect(failure?.threads[0]?.doing).toMatch(
      /^waits for state\.w\[0\] .*, left by itself at step \d+ .*, after forth at step \d+ \(/,
    );
  });

  it('lost wake-up: who left the word so and told nobody', async () => {
    const failure = await fail('dropped_notify');
    expect(failure.kind).toBe('lost wake-up');
    expect(failure.facts[0]).toMatch(
      /^waiter sleeps since step 2: setter left state\.flag\[0\] = 1 at step 4 .* no notify/,
    );
  });

  it('invariant, exception, no end', async () => {
    const invariant = await fail('broken_invariant');
    expect(invariant).toMatchObject({ kind: 'invariant', thread: 'mover' });
    expect(invariant.message).toBe('10 are missing');
    const thrown = await fail('thrower');
    expect(thrown).toMatchObject({ kind: 'thrown', thread: 'reader' });
    expect(thrown.title).toBe('thread reader threw RangeError: saw it half done');
    expect(thrown.stack[0]).toMatch(/^at reader \(\S+thrower\.mjs:13:\d+\)$/);
    const endless = await fail('spin_forever');
    expect(endless).toMatchObject({ kind: 'step bound', found: { steps: 500 } });
  });

  it('depends on more than the schedule: said, and no replay is written', async () => {
    const before = readdirSync(dir);
    const failure = await fail('module_state', { replayDir: dir });
    expect(failure).toMatchObject({ reproducible: false, replayFile: null, replayLine: null });
    expect(failure.text).toMatch(/the same schedule does not fail again/);
    expect(readdirSync(dir)).toEqual(before);
  });
});

/** Long enough to load, on a machine that is busy. */
const HANG_MS: Readonly<Record<string, number>> = { bad_top_loop: 8000, bad_loop: 8000 };

describe('bad input is one line', () => {
  it.each([
    ['bad_nothing', /^\S+bad_nothing\.mjs: exports no thread function/],
    ['bad_one', /^\S+bad_one\.mjs: exports one thread, only/],
    ['bad_async', /^\S+bad_async\.mjs: thread first is async/],
    ['bad_promise', /^\S+bad_promise\.mjs: thread first: it returned a promise/],
    ['bad_top_await', /^\S+bad_top_await\.mjs: does not finish loading/],
    ['bad_top_loop', /^\S+bad_top_loop\.mjs: does not finish loading within 8 s, setup included$/],
    ['bad_loop', /^\S+bad_loop\.mjs: thread first made no Atomics operation for 8 s/],
    ['bad_setup_throws', /^\S+bad_setup_throws\.mjs: setup threw: no memory today$/],
    ['bad_setup_function', /^\S+bad_setup_function\.mjs: what setup returned cannot be sent/],
    ['bad_throws', /^\S+bad_throws\.mjs:3:7: does not load: Error: not today$/],
    ['bad_import', /^\S+bad_import\.mjs: does not load: .*no_such_module\.mjs/],
    ['bad_option', /^\S+bad_option\.mjs: options: unknown option 'iteration'; there are/],
    ['bad_value', /^\S+bad_value\.mjs: options: iterations: 'many' will not do; give an integer/],
    ['not_there', /^\S+not_there\.mjs: no such file$/],
  ])('%s', async (name, expected) => {
    const failed = explore(fixture(name), { hangMs: HANG_MS[name] ?? 10_000, replayDir: false });
    await expect(failed).rejects.toThrow(ScenarioError);
    await expect(failed).rejects.toThrow(expected);
    expect(await failed.catch((error: Error) => error.message)).not.toMatch(/\n/);
  });

  it('names the place of what does not parse', async () => {
    const file = join(dir, 'syntax.mjs');
    writeFileSync(file, '// a file\nexport function first( {\n');
    await expect(explore(file)).rejects.toThrow(/syntax\.mjs:3:1: does not parse: Unexpected/);
    writeFileSync(join(dir, 'outer.mjs'), "import './syntax.mjs';\n");
    await expect(explore(join(dir, 'outer.mjs'))).rejects.toThrow(/syntax\.mjs:3:1: does not/);
  });

  it('refuses options that will not do before it loads anything', async () => {
    const bad = (options: object) => explore(fixture('correct'), options as ExploreOptions);
    await expect(bad({ iterations: 0 })).rejects.toThrow(/^iterations: 0 will not do; give an/);
    await expect(bad({ strategy: 'luck' })).rejects.toThrow(/^strategy: 'luck' will not do/);
    await expect(bad({ sede: 1 })).rejects.toThrow(/^unknown option 'sede'/);
  });
});
