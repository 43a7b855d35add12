// SPDX-License-Identifier: GPL-2.0-only
/** Rows of the reference with files, and with swap in a file, out of both kinds of file. */
import { afterAll, describe, expect, it } from 'vitest';
import { readReference } from '../../../../dist/src/workload/reference.js';
import { readModeRows } from '../../../../dist/src/workload/reference_modes.js';
import { Scratch } from './trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());

/** One run of a full file. */
function run(mode: string, majflt: number, change: object = {}): object {
  return {
    trace: 'demo',
    mode,
    frac: 0.5,
    variant: '',
    pressure: 'memcg',
    machine: 'host (real TLB)',
    kernel: '6.18.44-x',
    policy: 'classic',
    pagecluster: '3',
    limitPages: 50,
    pages: 100,
    majflt,
    minflt: 7,
    kmemEndPages: 5,
    vmstat: {
      workingset_refault_anon: majflt + 1,
      workingset_refault_file: majflt + 2,
      nr_written: majflt + 3,
      swap_ra: majflt + 4,
    },
    ...change,
  };
}

const put = (rows: object[]) => scratch.put('full.json', JSON.stringify({ rows, offline: [] }));
const only = (median: number) => ({ median, min: median, max: median, n: 1 });

describe('a full file', () => {
  it('gives a row for each mode, with its own figures', async () => {
    const swapfile = { variant: 'swapfile', pagecluster: '0' };
    const rows = await readModeRows(
      put([
        run('file', 130, { kmemEndPages: 9 }),
        run('file', 150, { kmemEndPages: 11 }),
        run('file', 90, { variant: 'madv_random' }),
        run('mixed', 20),
        run('mixed', 21, { policy: 'mglru' }),
        run('mixed', 22, { machine: 'qemu-tcg smp1', kernel: '6.12.1' }),
        run('anon', 40, swapfile),
        run('anon', 41),
        run('anon', 42, { ...swapfile, failed: 'oom' }),
      ]),
    );
    expect(
      rows.map(({ mode, pageCluster, kernelPages }) => [mode, pageCluster, kernelPages]),
    ).toEqual([
      ['mixed', null, 5],
      ['file', null, 10],
      ['swapfile', 0, 5],
    ]);
    const [mixed, file, swap] = rows;
    expect(mixed?.kernels).toEqual([
      {
        kernel: 'host 6.18 classic',
        figures: { 'refaults anon': only(21), 'refaults file': only(22) },
      },
      {
        kernel: 'guest 6.12 classic',
        figures: { 'refaults anon': only(23), 'refaults file': only(24) },
      },
    ]);
    expect(file?.kernels[0]?.figures).toEqual({
      refaults: { median: 40, min: 30, max: 50, n: 2 },
      'store faults': { median: 7, min: 7, max: 7, n: 2 },
      'pages written': { median: 143, min: 133, max: 153, n: 2 },
    });
    expect(swap?.kernels[0]?.figures).toEqual({
      refaults: only(41),
      'major faults': only(40),
      'read ahead': only(44),
    });
  });

  it('names the place of what is wrong', async () => {
    const failure = readModeRows(put([run('mixed', 1), run('file', 2, { minflt: -1 })]));
    await expect(failure).rejects.toThrow(/full\.json: rows\.1\.minflt: /);
  });
});

describe('the bundled file', () => {
  it('has all rows of both traces', async () => {
    const rows = await readModeRows('traces/reference.json');
    const count = (mode: string) => rows.filter((row) => row.mode === mode).length;
    expect([count('mixed'), count('file'), count('swapfile')]).toEqual([8, 8, 8]);
    for (const { kernels, limitPages, frac, pages } of rows) {
      expect(limitPages).toBe(Math.floor(frac * pages));
      for (const { figures } of kernels) expect(Object.keys(figures).length).toBeGreaterThan(1);
    }
    expect(await readReference('traces/reference.json')).toHaveLength(8);
  });
});
