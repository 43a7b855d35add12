// SPDX-License-Identifier: GPL-2.0-only
/** Both kinds of reference file give the same rows; anything else is refused in one line. */
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../../../dist/src/errors.js';
import { readReference } from '../../../../dist/src/workload/reference.js';
import { Scratch } from './trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());

const HINT = 'give traces/reference.json or a full file of kernel runs';

/** One row of a full file. */
function run(majflt: number, change: object = {}): object {
  return {
    trace: 'demo',
    mode: 'anon',
    frac: 0.5,
    variant: '',
    pressure: 'memcg',
    machine: 'host (real TLB)',
    kernel: '6.18.44-x',
    policy: 'classic',
    limitPages: 50,
    pages: 100,
    majflt,
    vmstat: {
      pgscan_anon: 4 * majflt,
      pgsteal_anon: 2 * majflt,
      pgactivate: 7,
      pgdeactivate: 8,
      other: -1,
    },
    ...change,
  };
}

const refaults = (n: number) => ({ refaults: n, wb: 1 });
const OFFLINE = {
  trace: 'demo',
  frac: 0.5,
  capacity: 50,
  lru: refaults(4),
  fifo: refaults(3),
  clock: refaults(2),
  min: refaults(1),
};

function put(rows: object[], offline: object[] = [OFFLINE]): string {
  return scratch.put('full.json', JSON.stringify({ rows, offline }));
}

describe('a full file', () => {
  it('is folded: medians over runs, kernels apart, limits in order', async () => {
    const guest = { machine: 'qemu-tcg smp1', kernel: '6.12.117+deb' };
    const rows = await readReference(
      put([
        run(9, { frac: 0.75, limitPages: 75 }),
        run(30),
        run(10),
        run(20, { vmstat: { pgscan_anon: 6, pgsteal_anon: 2, pgactivate: 1, pgdeactivate: 0 } }),
        run(40, { ...guest }),
        run(41, { ...guest }),
        run(50, { ...guest, policy: 'mglru' }),
      ]),
    );
    expect(rows.map((row) => row.frac)).toEqual([0.5, 0.75]);
    const shared = { activate: 7, deactivate: 8, scanPerSteal: 2 };
    expect(rows[0]).toEqual({
      trace: 'demo',
      mode: 'anon',
      frac: 0.5,
      limitPages: 50,
      pages: 100,
      kernels: [
        {
          ...shared,
          kernel: 'host 6.18 classic',
          policy: 'classic',
          refaults: { median: 20, min: 10, max: 30, n: 3 },
        },
        {
          ...shared,
          kernel: 'guest 6.12 classic',
          policy: 'classic',
          refaults: { median: 40.5, min: 40, max: 41, n: 2 },
        },
        {
          ...shared,
          kernel: 'guest 6.12 mglru',
          policy: 'mglru',
          refaults: { median: 50, min: 50, max: 50, n: 1 },
        },
      ],
      offline: { lru: 4, fifo: 3, clock: 2, min: 1 },
    });
    expect(rows[1]!.offline).toBeNull();
  });

  it('gives no ratio where nothing was reclaimed', async () => {
    const rows = await readReference(put([run(0)]));
    expect(rows[0]!.kernels[0]!.scanPerSteal).toBeNull();
  });

  it('counts only the method itself, on anonymous memory with a limit', async () => {
    const rows = await readReference(
      put([
        run(10),
        run(99, { variant: 'noflush' }),
        run(99, { mode: 'mixed' }),
        run(99, { pressure: 'global' }),
        { ...run(99), majflt: undefined, failed: 'oom-kill' },
      ]),
    );
    expect(rows[0]!.kernels[0]!.refaults).toEqual({ median: 10, min: 10, max: 10, n: 1 });
  });
});

describe('the bundled file', () => {
  it('has three kernels in each of eight cells', async () => {
    const rows = await readReference('traces/reference.json');
    expect(rows.map((row) => `${row.trace} ${row.frac}`)).toEqual([
      'sort 0.25',
      'sort 0.5',
      'sort 0.75',
      'sort 0.9',
      'sqlite 0.25',
      'sqlite 0.5',
      'sqlite 0.75',
      'sqlite 0.9',
    ]);
    for (const row of rows) {
      expect(row.kernels.map((kernel) => kernel.kernel)).toEqual([
        'host 6.18 classic',
        'guest 6.12 classic',
        'guest 6.12 mglru',
      ]);
      for (const { refaults } of row.kernels) {
        expect(refaults.min).toBeLessThanOrEqual(refaults.median);
        expect(refaults.max).toBeGreaterThanOrEqual(refaults.median);
        expect(refaults.median).toBeGreaterThan(row.offline!.min);
      }
    }
  });
});

describe('a file is refused that', () => {
  const refused = async (bytes: string) => {
    const file = scratch.put('bad.json', bytes);
    const error: unknown = await readReference(file).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UsageError);
    const { message } = error as UsageError;
    expect(message).not.toMatch(/[\n\r]/);
    return message.slice(file.length + 2);
  };

  it('is not JSON', async () => {
    expect(await refused('{\n"rows": nope')).toMatch(/^not JSON: .*; give traces\/reference.json/);
  });

  it('is other JSON', async () => {
    expect(await refused('[]')).toMatch(/^rows: .*; give traces/);
    expect(await refused('{"schema": "other/1"}')).toMatch(/^schema: .*"other\/1".*; give traces/);
  });

  it('has a row that is not one', async () => {
    const bad = JSON.stringify({ rows: [run(1), run(-1)], offline: [] });
    expect(await refused(bad)).toMatch(/^rows\.1\.majflt: .*-1; give traces/);
    const name = JSON.stringify({ rows: [run(1, { trace: '../x' })], offline: [] });
    expect(await refused(name)).toBe(`rows.0.trace: not a plain name; ${HINT}`);
  });

  it('has no row to compare with', async () => {
    const none = JSON.stringify({ rows: [], offline: [] });
    expect(await refused(none)).toBe(`holds no runs on anonymous memory with a limit; ${HINT}`);
  });

  it('is not there', async () => {
    const file = scratch.path('missing.json');
    await expect(readReference(file)).rejects.toThrow(
      `${file}: no such file or directory; check the path`,
    );
  });
});
