// SPDX-License-Identifier: GPL-2.0-only
/** Replay files: written whole, never over another one, refused in a line when they do not fit. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exploreReport, ScenarioError } from '../../../dist/src/harness/index.js';
import { readReplay } from '../../../dist/src/harness/replay_file.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/explore/${name}.mjs`, import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-replay-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const scenario = join(dir, 'scenario.mjs');
const file = join(dir, 'scenario.replay.json');
let good: Record<string, unknown>;

beforeAll(async () => {
  const text = readFileSync(fixture('lost_update'), 'utf8');
  writeFileSync(join(dir, 'part.mjs'), 'export const AMOUNT = 1;\n');
  writeFileSync(scenario, `import { AMOUNT } from './part.mjs';\n${text}void AMOUNT;\n`);
  await exploreReport(scenario, { replayDir: dir });
  good = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
});

const replayed = (path = file, of = scenario) => exploreReport(of, { replay: path });
const damaged = (change: object) => {
  const path = join(dir, 'damaged.json');
  writeFileSync(path, JSON.stringify({ ...good, ...change }));
  return path;
};

describe('writing', () => {
  it('carries what it takes to run it again', () => {
    expect(Object.keys(good)).toEqual([
      ...['schema', 'package', 'node', 'scenario', 'query', 'sources', 'threads', 'options'],
      ...['strategy', 'seed', 'found', 'hash', 'outcome', 'message', 'schedule'],
    ]);
    expect(good).toMatchObject({ schema: 'kreclaim.replay/1', scenario: 'scenario.mjs' });
    expect(Object.keys(good.sources as object)).toEqual(['scenario.mjs', 'part.mjs']);
    expect(readdirSync(dir).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('replaces the same scenario’s file and no other', async () => {
    await exploreReport(scenario, { replayDir: dir, seed: 50 });
    expect(readdirSync(dir).filter((name) => name.includes('replay'))).toHaveLength(1);
    const other = { replayDir: dir, replayName: 'scenario.replay.json' };
    const { failure } = await exploreReport(fixture('abba'), other);
    expect(failure?.replayFile).toBe(join(dir, 'scenario.2.replay.json'));
    expect(readReplay(file).scenario).toBe('scenario.mjs');
    writeFileSync(join(dir, 'notes.json'), 'mine');
    const notes = await exploreReport(fixture('abba'), {
      replayDir: dir,
      replayName: 'notes.json',
    });
    expect(notes.failure?.replayFile).toBe(join(dir, 'notes.2.replay.json'));
    expect(readFileSync(join(dir, 'notes.json'), 'utf8')).toBe('mine');
  });

  it('still fits when both have moved together', async () => {
    const moved = join(dir, 'moved');
    mkdirSync(moved);
    for (const name of ['scenario.mjs', 'part.mjs', 'scenario.replay.json']) {
      cpSync(join(dir, name), join(moved, name));
    }
    const { failure } = await replayed(
      join(moved, 'scenario.replay.json'),
      join(moved, 'scenario.mjs'),
    );
    expect(failure?.message).toBe('lost update: 1 of 2');
  });
});

describe('replaying', () => {
  it.each(['idle', 'any'] as const)(
    'in new workers, time-outs %s: the same report',
    async (when) => {
      const mutexes = new URL('../../zoo/bugs/abba_mutex.mjs', import.meta.url);
      const options = { strategy: 'random', seed: 7, timeouts: when, maxSteps: 10_000 } as const;
      const { failure } = await exploreReport(mutexes, { ...options, replayDir: dir });
      const again = await exploreReport(mutexes, { replay: failure?.replayFile as string });
      expect(again.failure?.hash).toBe(failure?.hash);
      expect(again.failure?.text).toBe(failure?.text);
    },
  );
});

describe('refusing', () => {
  const refuse = async (path: string, expected: RegExp, of = scenario) => {
    const failed = replayed(path, of);
    await expect(failed).rejects.toThrow(ScenarioError);
    await expect(failed).rejects.toThrow(expected);
  };

  it('what is no replay file', async () => {
    await refuse(join(dir, 'none.json'), /none\.json: no such file$/);
    await refuse(scenario, /scenario\.mjs: line 1 column 1: not JSON/);
    const cut = join(dir, 'cut.json');
    writeFileSync(cut, readFileSync(file, 'utf8').slice(0, 120));
    await refuse(cut, /cut\.json: line \d+ column \d+: not JSON/);
    await refuse(damaged({ schema: undefined }), /schema: missing, so not a replay file$/);
    await refuse(damaged({ schema: 'kreclaim.replay/2' }), /schema: "kreclaim.replay\/2", this/);
  });

  it('what is damaged, with its place', async () => {
    await refuse(damaged({ seed: 'one' }), /damaged\.json: seed: missing or damaged$/);
    await refuse(damaged({ options: {} }), /options\.maxSteps: missing or damaged$/);
    await refuse(
      damaged({
        schedule: [
          [0, 1],
          [9, 1],
        ],
      }),
      /schedule\[1\]: not \[thread, steps\]/,
    );
    await refuse(damaged({ schedule: [[0, 1], 'x'] }), /schedule\[1\]: not \[thread, steps\]/);
  });

  it('another scenario, other threads, another schedule', async () => {
    await refuse(file, /is a replay of scenario\.mjs, another scenario$/, fixture('abba'));
    await refuse(damaged({ threads: ['a', 'b'] }), /is of threads a, b; not of first, second$/);
    const impossible = [
      [0, 1],
      [1, 40],
      [0, 1],
    ];
    await refuse(damaged({ schedule: impossible }), /diverged: thread second cannot take step \d+/);
    const held = [
      [0, 3],
      [1, 3],
    ];
    await refuse(damaged({ schedule: held }), /diverged: did not fail \(recorded: check\)/);
  });

  it('a scenario that has changed since, or a module of it', async () => {
    const text = readFileSync(scenario, 'utf8');
    writeFileSync(scenario, `${text}\n`);
    await refuse(file, /scenario\.mjs has changed since: this replay does not fit it/);
    writeFileSync(scenario, text);
    await replayed();
    writeFileSync(join(dir, 'part.mjs'), 'export const AMOUNT = 2;\n');
    await refuse(file, /part\.mjs has changed since/);
    rmSync(join(dir, 'part.mjs'));
    await refuse(file, /part\.mjs is not there any more/);
  });
});
