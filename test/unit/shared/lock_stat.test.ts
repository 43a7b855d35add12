// SPDX-License-Identifier: GPL-2.0-only
/** Lock statistics: sums over threads, sampling, and the text of /proc/lock_stat. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatLockStat, lockStatRows, resetLockStat } from '../../../dist/shared/lock_report.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import { KINDS } from '../../fixtures/lock_kinds.mjs';
import { CLS_A, CLS_B, LOCK, LOCK2 } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

const ME = 9;
const { spin } = KINDS;
let run: SyncThreads;
beforeEach(() => {
  run = new SyncThreads({ lockStat: true });
  Atomics.store(run.tables.sync.threads.state, ME, 2);
  enterSync(run.tables.sync, ME);
});
afterEach(async () => {
  resetSync();
  await run.close();
});

it('sums acquisitions of all threads, exactly', async () => {
  const args = { kind: 'spin', rounds: 3001 };
  for (const id of [1, 2, 3]) run.start(id, 'exclude', args);
  for (const id of [1, 2, 3]) await run.result(id);
  const [row] = lockStatRows(run.tables.sync);
  expect(row).toMatchObject({ class: 'test_lock', acquisitions: 9003, read: false });
  expect(row.contentions).toBeLessThanOrEqual(9003);
  expect(row.holdSamples).toBe(3 * Math.ceil(3001 / 64));
});

it('samples the hold time of the first acquisition and of every 64th after', () => {
  for (let i = 0; i < 129; i++) {
    spin.lock(run.tables, LOCK, CLS_A);
    spin.unlock(run.tables, LOCK, CLS_A);
  }
  expect(lockStatRows(run.tables.sync)).toMatchObject([
    { class: 'A', acquisitions: 129, contentions: 0, waitNsTotal: 0, holdSamples: 3 },
  ]);
});

it('prints /proc/lock_stat in the columns of the kernel', () => {
  for (const [base, cls] of [
    [LOCK, CLS_A],
    [LOCK2, CLS_B],
    [LOCK2, CLS_B],
  ] as const) {
    spin.lock(run.tables, base, cls);
    spin.unlock(run.tables, base, cls);
  }
  const text = formatLockStat(run.tables.sync);
  const lines = text.split('\n');
  expect(lines[0]).toBe('lock_stat version 0.4');
  expect(lines[1]).toBe('-'.repeat(40 + 1 + 12 * 15));
  expect(lines[2]?.trim().split(/ +/)).toEqual([
    'class',
    'name',
    'con-bounces',
    'contentions',
    'waittime-min',
    'waittime-max',
    'waittime-total',
    'waittime-avg',
    'acq-bounces',
    'acquisitions',
    'holdtime-min',
    'holdtime-max',
    'holdtime-total',
    'holdtime-avg',
  ]);
  const rows = lines.slice(5, -1);
  expect(rows).toHaveLength(2);
  expect(rows[0]).toMatch(
    /^ {39}B: +0 +0 +0\.00 +0\.00 +0\.00 +0\.00 +0 +2 +0\.00( +\d+\.\d\d){3}$/,
  );
  for (const row of rows) expect(row).toHaveLength(lines[2]?.length ?? 0);
});

it('starts again from nothing after a reset', () => {
  spin.lock(run.tables, LOCK, CLS_A);
  spin.unlock(run.tables, LOCK, CLS_A);
  resetLockStat(run.tables.sync);
  expect(lockStatRows(run.tables.sync)).toEqual([]);
});

it('keeps nothing while it is off', () => {
  resetSync();
  const off = new SyncThreads();
  enterSync(off.tables.sync, ME);
  spin.lock(off.tables, LOCK, CLS_A);
  spin.unlock(off.tables, LOCK, CLS_A);
  expect(lockStatRows(off.tables.sync)).toEqual([]);
});
