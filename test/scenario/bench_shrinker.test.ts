// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim bench shrinker` runs. Samples are short: what is tested is the rows, not the rates. */
import { describe, expect, test } from 'vitest';
import {
  SHRINKER_POLICIES,
  type ShrinkerRow,
  shrinkerBench,
  shrinkerTable,
} from '../../dist/bench/shrinker.js';

const OURS = [...SHRINKER_POLICIES, 'walk', 'walk-twin'];

describe('bench shrinker', () => {
  test('walks under every policy, with a registrar and without', async () => {
    const rows = await shrinkerBench({ quick: true, threads: [1, 2], registerUs: [0, 500] });
    const groups = [...new Set(rows.map(({ group }) => group))];
    expect(groups).toEqual([
      'shrinker: 100 groups x 64 shrinkers, 1 %, none registers',
      'shrinker: 100 groups x 64 shrinkers, 1 %, one registers every 500 us',
    ]);
    const native = rows.filter(({ name }) => name.startsWith('C '));
    const ours = rows.filter((row) => !native.includes(row));
    const names = ours.filter(({ group }) => group === groups[0]).map(({ name }) => name);
    expect(names).toEqual([1, 2].flatMap((nr) => OURS.map((name) => `${name} x${nr}`)));
    // With a registrar that loses its core in a short sample, a policy may give every walk up.
    for (const row of rows.filter(({ registerUs }) => registerUs === 0)) {
      expect(row.opsPerSec, row.name).toBeGreaterThan(0);
      expect(row.callbacks, row.name).toBeGreaterThan(0);
    }
    for (const row of ours) {
      expect(row.peer === null, row.name).toBe(native.length === 0);
      expect(row.tableBytes).toBeGreaterThan(100 * 264);
    }
    const registered = ours.filter(({ registerUs }) => registerUs > 0);
    const done = registered.filter(({ registers }) => registers > 0);
    expect(done.length).toBeGreaterThan(0);
    for (const row of done) expect(row.registerUsP99).toBeGreaterThanOrEqual(row.registerUsP50);
    const lines = shrinkerTable(rows).split('\n');
    // A name, a heading and an empty line for each group but the last.
    expect(lines.length).toBe(rows.length + 3 * groups.length - 1);
  }, 120_000);

  test('the same bits are set in C and here: as many callbacks per walk', async () => {
    const options = { threads: [1], registerUs: [0], shrinkers: [100], density: [10] };
    const rows = await shrinkerBench({ quick: true, variants: ['rwsem'], ...options });
    const perWalk = (row: ShrinkerRow): number => row.callbacks / row.opsPerSec;
    const [first] = rows;
    for (const row of rows) {
      expect(perWalk(row), row.name).toBeCloseTo(perWalk(first as ShrinkerRow), 0);
    }
  });
});
