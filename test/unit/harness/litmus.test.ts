// SPDX-License-Identifier: GPL-2.0-only
/** Litmus tests: the tables of the catalogue, and running them on real threads. */
import { describe, expect, test } from 'vitest';
import {
  catalogued,
  formatLitmus,
  LitmusError,
  type LitmusTest,
  LitmusUsageError,
  litmus,
  litmusCatalogue,
  litmusReport,
  modelOutcomes,
  scOutcomes,
} from '../../../dist/src/harness/index.js';

const fixture = (name: string) => new URL(`../../fixtures/torture/${name}.mjs`, import.meta.url);
const named = (name: string) => litmusCatalogue.find((one) => one.name === name) as LitmusTest;

/** Those that the simulated memory can run: no view of their own, no wait. */
const simulated = litmusCatalogue.filter(({ name, view }) => {
  return view === undefined && !name?.startsWith('WAIT');
});
const atomic = simulated.filter((one) => !scOutcomes(one).plain);
const plain = simulated.filter((one) => scOutcomes(one).plain);

describe('litmus: sequentially consistent outcomes', () => {
  test.each([
    ['SB', ['0 1', '1 0', '1 1']],
    ['MP', ['0 0', '0 1', '1 1']],
    ['LB', ['0 0', '0 1', '1 0']],
    ['CoRR', ['0 0', '0 1', '1 1']],
    ['CoWW', ['0 2', '1 2', '2 2']],
    ['2+2W', ['1 2', '2 1', '2 2']],
    ['XCHG', ['0 1', '2 0']],
    ['CAS', ['0 1 1', '2 0 2']],
    ['ADD', ['0 1 2', '1 0 2']],
  ])('%s', (name, outcomes) => {
    expect(scOutcomes(named(name)).outcomes).toEqual(outcomes);
  });

  test('IRIW has all combinations but the one on which the readers disagree', () => {
    const { outcomes, plain: some } = scOutcomes(named('IRIW'));
    expect(some).toBe(false);
    expect(outcomes).toHaveLength(15);
    expect(outcomes).not.toContain('1 0 1 0');
  });

  test('the global Atomics is itself again afterwards', () => {
    const { load } = Atomics;
    scOutcomes(named('SB'));
    expect(Atomics.load).toBe(load);
    const broken = { name: 'throws', threads: [() => unsupported()] };
    expect(() => scOutcomes(broken)).toThrow('no');
    expect(Atomics.load).toBe(load);
  });
});

function unsupported(): never {
  throw new Error('no');
}

describe('litmus: the catalogue', () => {
  test('has at least 30 tests, each with a name of its own and a question', () => {
    expect(litmusCatalogue.length).toBeGreaterThanOrEqual(30);
    expect(new Set(litmusCatalogue.map(({ name }) => name)).size).toBe(litmusCatalogue.length);
    expect(litmusCatalogue.filter(({ question }) => (question ?? '') === '')).toEqual([]);
  });

  test('what is atomic leaves its table to the interleavings; its forbidden ones are none', () => {
    expect(atomic.length).toBeGreaterThanOrEqual(25);
    for (const one of atomic) {
      expect([one.name, one.allowed]).toEqual([one.name, undefined]);
      const { outcomes } = scOutcomes(one);
      for (const outcome of one.forbidden ?? []) {
        expect(outcomes, `${one.name} ${outcome}`).not.toContain(outcome);
      }
    }
  });

  test('what is plain allows at least every interleaving', () => {
    expect(plain.length).toBeGreaterThanOrEqual(15);
    for (const one of plain) {
      const allowed = new Set([...(one.allowed ?? []), ...(one.interesting ?? [])]);
      const missing = scOutcomes(one).outcomes.filter((outcome) => !allowed.has(outcome));
      expect([one.name, missing]).toEqual([one.name, []]);
    }
  });

  test('interesting outcomes are those that no interleaving gives', () => {
    // An increment that is lost is an interleaving, and worth a look all the same.
    for (const one of plain.filter(({ name }) => name !== 'COUNTER+plain')) {
      const { outcomes } = scOutcomes(one);
      const known = (one.interesting ?? []).filter((outcome) => outcomes.includes(outcome));
      expect([one.name, known]).toEqual([one.name, []]);
    }
  });
});

describe('litmus: the ECMAScript memory model', () => {
  test('gives atomic programs the sequentially consistent outcomes, and no others', () => {
    // Two additions that may each see any sum make too many candidates for a unit test.
    for (const one of atomic.filter(({ name }) => name !== 'ADD+SUB')) {
      expect([one.name, modelOutcomes(one)]).toEqual([one.name, scOutcomes(one).outcomes]);
    }
  });

  test('gives programs with plain accesses exactly what their tables list', () => {
    // Parts of a word are below what the model here looks at.
    for (const one of plain.filter(({ name }) => !name?.startsWith('TEAR'))) {
      const listed = new Set([...(one.allowed ?? []), ...(one.interesting ?? [])]);
      expect([one.name, modelOutcomes(one)]).toEqual([one.name, [...listed].sort()]);
    }
  });

  test('is what a test without a table is judged by', async () => {
    const { allowed: _, interesting: __, ...bare } = named('MP+atomic-flag');
    const { rows } = await litmus(bare, { rounds: 2 });
    expect(rows.map(({ outcome, verdict }) => `${outcome} ${verdict}`)).toEqual([
      '1 0 forbidden',
      '0 0 allowed',
      '0 1 allowed',
      '1 1 allowed',
    ]);
    const { allowed: ___, interesting: ____, ...racy } = named('CoRR+plain');
    const { rows: more } = await litmus(racy, { rounds: 2 });
    expect(more[0]).toMatchObject({ outcome: '1 0', verdict: 'interesting' });
  });
});

describe('litmus: on real threads', () => {
  test.each([
    'SB',
    'MP+atomic-flag',
    'CoRR',
    'ADD',
    'CAS+chain',
    'LOCK+plain',
    'WAIT',
    'TEAR+i32',
    'TEAR+i64-atomic',
    'MIXED+neighbours',
  ])('%s: nothing forbidden is seen', async (name) => {
    const result = await litmus(catalogued(name), { rounds: 6 });
    expect(result.samples).toBeGreaterThan(500);
    expect(result.passed).toBe(true);
    const seen = result.rows.reduce((sum, { count }) => sum + count, 0);
    expect(seen).toBe(result.samples);
  });

  test('a file, and a definition whose functions use globals only', async () => {
    const fromFile = await litmus(fixture('sb_plain'), { rounds: 3 });
    expect(fromFile.name).toBe('sb_plain');
    expect(fromFile.rows.map(({ outcome }) => outcome).sort()).toEqual([
      '0 0',
      '0 1',
      '1 0',
      '1 1',
    ]);
    const definition: LitmusTest = {
      name: 'once',
      cells: 1,
      registers: 1,
      threads: [
        (m, x) => {
          Atomics.add(m, x, 5);
        },
        (m, x) => {
          Atomics.add(m, x, 7);
        },
      ],
      observe: (m, x, _gap, out, at) => {
        out[at] = Atomics.load(m, x);
      },
    };
    const { rows } = await litmus(definition, { rounds: 3 });
    expect(rows).toMatchObject([{ outcome: '12', verdict: 'allowed' }]);
  });

  test('registers of any value are told apart', async () => {
    const wide: LitmusTest = {
      name: 'wide',
      cells: 1,
      registers: 2,
      allowed: ['-5 1000000'],
      threads: [
        (_m, _x, _gap, out, at) => {
          out[at] = -5;
        },
        (_m, _x, _gap, out, at) => {
          out[at + 1] = 1_000_000;
        },
      ],
    };
    expect((await litmus(wide, { rounds: 2 })).rows).toMatchObject([{ outcome: '-5 1000000' }]);
  });

  test('a forbidden outcome is a failure, and the message is the table', async () => {
    const test_: LitmusTest = { ...named('ADD'), allowed: ['0 1 2'] };
    const result = await litmusReport(test_, { rounds: 4 });
    const error = await litmus({ ...test_, allowed: ['9 9 9'] }, { rounds: 2 }).catch((e) => e);
    expect(result.rows[0]).toMatchObject({ verdict: 'forbidden' });
    expect(error).toBeInstanceOf(LitmusError);
    expect(error.message).toMatch(/^ADD: .*\n .*FORBIDDEN OUTCOME SEEN\n/);
    expect(error.message).toMatch(/forbidden {2}!!!/);
    expect(formatLitmus(error.result).trimEnd()).toBe(error.message);
  });

  test('a signal ends it early', async () => {
    const options = { seconds: 60, signal: AbortSignal.timeout(200) };
    expect(await litmus(catalogued('SB'), options)).toMatchObject({ interrupted: true });
  });

  test('a signal that was aborted before it began ends it at once', async () => {
    const options = { seconds: 60, signal: AbortSignal.abort() };
    expect(await litmus(catalogued('SB'), options)).toMatchObject({ interrupted: true });
  });

  test('a test that runs for longer than a hang takes to be seen is none', async () => {
    const result = await litmus(catalogued('SB'), { seconds: 3, hangMs: 2000 });
    expect(result.seconds).toBeGreaterThanOrEqual(3);
  });

  test('two copies run side by side where threads allow it', async () => {
    const one = await litmus(catalogued('SB'), { rounds: 2, threads: 4 });
    expect(one.threads).toBe(4);
  });

  test('a thread that throws, and one that does not come back, end it', async () => {
    const two = (body: LitmusTest['threads'][number]): LitmusTest => ({
      name: 'two',
      allowed: ['0 0'],
      threads: [() => {}, body],
    });
    const thrower = two(() => {
      throw new TypeError('no');
    });
    await expect(litmus(thrower, { rounds: 1 })).rejects.toThrow('no');
    const sleeper = two((m, x) => {
      Atomics.wait(m, x, 0);
    });
    await expect(litmus(sleeper, { rounds: 1, hangMs: 300 })).rejects.toThrow('a thread hangs');
  });
});

describe('litmus: bad input', () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no such file', () => litmus(fixture('absent')), /absent\.mjs: no such file/],
    ['no threads', () => litmus(fixture('empty')), /empty\.mjs: exports no thread function/],
    ['no such test', () => litmus(catalogued('NONE')), /no test 'NONE'; it has SB, /],
    [
      'a view of its own, and no table',
      () => {
        const { allowed: _, ...bare } = named('TEAR+u16');
        return litmus(bare);
      },
      /TEAR\+u16: list what is allowed: a view of its own is not simulated/,
    ],
    [
      'an outcome of the wrong length',
      () => litmus({ ...named('SB'), allowed: ['1'] }),
      /allowed has '1'; an outcome is 2 integers/,
    ],
    ['options', () => litmus(catalogued('SB'), { seconds: 0 }), /^seconds: 0; give a number from/],
    ['registers', () => litmus({ ...named('SB'), registers: 99 }), /registers is 99; give/],
  ])('%s', async (_, run, message) => {
    const error = await run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LitmusUsageError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });
});
