// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim bench kcompressd|kshrinkd` run. What is tested is the rows, not the rates. */
import { expect, test } from 'vitest';
import { kcompressdBench } from '../../dist/bench/kcompressd.js';
import { kshrinkdBench } from '../../dist/bench/kshrinkd.js';

test('bench kcompressd: each store and content, beside the codec', async () => {
  const rows = await kcompressdBench({ quick: true });
  const groups = [...new Set(rows.map(({ group }) => group))];
  expect(groups).toEqual(
    ['fill to zram', 'program to zram', 'fill to zswap', 'program to zswap'].map(
      (name) => `kcompressd: pages of a ${name}`,
    ),
  );
  expect(rows.map(({ name }) => name)).toEqual(groups.flatMap(() => ['codec', 'kcompressd']));
  for (const { group, opsPerSec } of rows) expect(opsPerSec, group).toBeGreaterThan(0);
});

test('bench kshrinkd: its queue beside a list and a lock', async () => {
  const rows = await kshrinkdBench({ quick: true });
  expect(rows.map(({ name }) => name)).toEqual(['list and lock', 'kshrinkd']);
  expect(rows[1]?.ratioToPeer).toBeGreaterThan(0);
});
