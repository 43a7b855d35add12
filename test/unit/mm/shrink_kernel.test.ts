// SPDX-License-Identifier: GPL-2.0-only
/** The WebAssembly shrink kernel against its TypeScript twin. */
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Prng } from '../../../dist/shared/prng.js';
import { leaveRcu, resetRcu } from '../../../dist/shared/rcu.js';
import { POISON_FREE } from '../../../dist/shared/rcu_cells.js';
import { REFCOUNT_MAX, REFCOUNT_SATURATED } from '../../../dist/shared/refcount.js';
import { resetSync } from '../../../dist/shared/sync_domain.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  NEXT_LAST_PUT,
  ShrinkKernel,
  type ShrinkScan,
  ShrinkTwin,
  shrinkScanOf,
} from '../../../dist/src/mm/shrink_kernel.js';
import {
  INFO_NR_MAX,
  INFO_UNITS,
  SHRINKER_UNIT_BITS,
  UNIT_MAP_WORDS,
} from '../../../dist/src/mm/shrinker_types.js';
import {
  enterMachine,
  GROUPS,
  HOT_IDS,
  IDS,
  STOP,
  shrinkMachine,
  TAKEN,
} from '../../fixtures/shrink_machine.mjs';

const TAKEN_MIN = 2_000_000;
const ROUNDS_MIN = 500;
/** Looks for the last reference to go: walkers hold one for less than a microsecond. */
const PAUSES_MAX = 1e7;

/** Gives a group an info for `units` units, its bits chosen by `bit`. */
function fillInfo(m: Mm, group: number, units: number, bit: (id: number) => boolean): void {
  const { info, unitMap } = m.shrinker;
  const at = group * m.sizes.shrinkers.infoWords;
  m.lruvec.shrinkerInfo[group] = group;
  info[at + INFO_NR_MAX] = units * SHRINKER_UNIT_BITS;
  for (let index = 0; index < units; index++) {
    const unit = group * m.sizes.shrinkers.nrUnits + index;
    info[at + INFO_UNITS + index] = unit;
    for (let word = 0; word < UNIT_MAP_WORDS; word++) {
      let bits = 0;
      for (let i = 0; i < 32; i++) {
        if (bit(index * SHRINKER_UNIT_BITS + word * 32 + i)) bits |= 1 << i;
      }
      unitMap[unit * UNIT_MAP_WORDS + word] = bits;
    }
  }
}

/** A count as a shrinker may have it: coming or gone, registered, in use, full, saturated. */
function randomCount(prng: Prng): number {
  const kind = prng.below(12);
  if (kind < 2) return 0;
  if (kind === 2) return REFCOUNT_SATURATED;
  if (kind === 3) return REFCOUNT_MAX;
  return 1 + prng.below(4);
}

/** Random infos, owners of ids and counts. */
function randomTables(m: Mm, prng: Prng): void {
  const { idr, refcount, id } = m.shrinker;
  const rows = Int32Array.from({ length: IDS }, (_, row) => row + 1);
  for (let i = IDS - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [rows[i], rows[j]] = [rows[j] as number, rows[i] as number];
  }
  rows.forEach((row, at) => {
    idr[at] = prng.below(6) === 0 ? 0 : row;
    id[row] = at;
    refcount[row] = randomCount(prng);
  });
  const share = [0, 1, 20, 100][prng.below(4)] as number;
  for (let group = 1; group < GROUPS; group++) {
    fillInfo(m, group, prng.below(4), () => prng.below(100) < share);
  }
  m.lruvec.shrinkerInfo[1 + prng.below(GROUPS - 1)] = 0;
}

/** Every step of a walk of each group, and what it left behind. */
function walkAll(m: Mm, scan: ShrinkScan, prng: Prng): number[] {
  const before = m.shrinker.refcount.slice();
  const steps: number[] = [];
  const note = (result: number): number => {
    steps.push(result);
    return result;
  };
  for (let group = 0; group < GROUPS; group++) {
    for (let s = note(scan.next(group, prng.below(8))); s !== 0; ) {
      const from = s < 0 ? ~s + 1 : (m.shrinker.id[s] as number) + 1;
      const held = s > 0 && prng.below(4) === 0;
      if (s < 0 || held) s = note(scan.next(group, from));
      else if (note(scan.putNext(s, group, from)) === NEXT_LAST_PUT)
        s = note(scan.next(group, from));
      else s = steps.at(-1) as number;
    }
    for (let s = note(scan.look(group, 0)), id = 0; s !== 0; s = note(scan.look(group, id + 1))) {
      id = s < 0 ? ~s : (m.shrinker.id[s] as number);
    }
  }
  steps.push(...m.shrinker.refcount);
  m.shrinker.refcount.set(before);
  return steps;
}

afterEach(() => {
  leaveRcu();
  resetRcu();
  resetSync();
});

describe('shrink kernel', () => {
  test('does what its twin does on random infos, owners and counts', () => {
    const m: Mm = shrinkMachine();
    enterMachine(m, 1);
    const [kernel, twin] = [new ShrinkKernel(m), new ShrinkTwin(m)];
    let taken = 0;
    let refused = 0;
    for (let seed = 1; seed <= 150; seed++) {
      randomTables(m, new Prng(seed));
      const theirs = walkAll(m, twin, new Prng(seed, 1));
      const ours = walkAll(m, kernel, new Prng(seed, 1));
      expect(ours, `seed ${seed}`).toEqual(theirs);
      taken += ours.filter((step) => step > 0).length;
      refused += ours.filter((step) => step < 0 && step >= ~IDS).length;
    }
    expect(Math.min(taken, refused)).toBeGreaterThan(1000);
  });

  test('puts no last reference, and leaves a saturated count alone', () => {
    const m: Mm = shrinkMachine();
    enterMachine(m, 1);
    for (const scan of [new ShrinkKernel(m), new ShrinkTwin(m)]) {
      for (const count of [1, 0, REFCOUNT_SATURATED]) {
        m.shrinker.refcount[3] = count;
        expect(scan.putNext(3, 1, 0)).toBe(NEXT_LAST_PUT);
        expect(m.shrinker.refcount[3]).toBe(count);
      }
    }
  });

  test('names an info that was freed under a walk', () => {
    const m: Mm = shrinkMachine();
    enterMachine(m, 1);
    fillInfo(m, 1, 1, () => true);
    m.shrinker.info.fill(POISON_FREE, m.sizes.shrinkers.infoWords, 2 * m.sizes.shrinkers.infoWords);
    expect(() => new ShrinkKernel(m).next(1, 0)).toThrow(/after its grace period/);
    expect(() => new ShrinkKernel(m).look(1, 0)).toThrow(/after its grace period/);
    expect(() => new ShrinkTwin(m).next(1, 0)).toThrow(/after its grace period/);
  });

  test('is chosen by the configuration', () => {
    const m: Mm = shrinkMachine();
    const twin = { ...m, config: { ...m.config, accessKernel: 'ts' }, task: { ...m.task } } as Mm;
    enterMachine(m, 1);
    expect(shrinkScanOf(m)).toBeInstanceOf(ShrinkKernel);
    expect(shrinkScanOf(m)).toBe(shrinkScanOf(m));
    expect(shrinkScanOf(twin)).toBeInstanceOf(ShrinkTwin);
  });

  test('never takes a shrinker that is gone while ids lose and find their owners', async () => {
    const m: Mm = shrinkMachine();
    enterMachine(m, 1);
    const { idr, refcount } = m.shrinker;
    const rowOf = (id: number): number => IDS - id;
    for (let id = 0; id < HOT_IDS; id++) {
      m.shrinker.id[rowOf(id)] = id;
      Atomics.store(refcount, rowOf(id), 1);
      Atomics.store(idr, id, rowOf(id));
    }
    fillInfo(m, 1, 1, (id) => id < HOT_IDS);
    const control = new Int32Array(new SharedArrayBuffer(16));
    const failures: unknown[] = [];
    const workers = [false, true].map((twin, index) => {
      const workerData = { walkShrinkers: true, buffers: m.buffers, control, id: 2 + index, twin };
      const url = new URL('../../fixtures/shrink_machine.mjs', import.meta.url);
      return new Worker(url, { workerData }).on('error', (error) => failures.push(error));
    });
    const pause = () => new Promise((resolve) => setImmediate(resolve));
    const enough = () =>
      Atomics.load(control, TAKEN) > TAKEN_MIN && Atomics.load(control, TAKEN + 1) > TAKEN_MIN;
    const wrong: string[] = [];
    const ok = () => failures.length === 0 && wrong.length === 0;
    for (let round = 0; (!enough() || round < ROUNDS_MIN) && ok(); round++) {
      const id = round % HOT_IDS;
      const s = rowOf(id);
      if (round % 2 === 0) Atomics.store(idr, id, 0);
      Atomics.sub(refcount, s, 1);
      for (let nr = 0; nr < PAUSES_MAX && Atomics.load(refcount, s) !== 0; nr++) await pause();
      for (let look = 0; look < 100; look++) {
        const count = Atomics.load(refcount, s);
        if (count !== 0) wrong.push(`round ${round}: count ${count} of a shrinker that is gone`);
      }
      Atomics.store(refcount, s, 1);
      Atomics.store(idr, id, s);
      if (round % 16 === 0) await pause();
    }
    Atomics.store(control, STOP, 1);
    await Promise.all(workers.map((worker) => new Promise((done) => worker.once('exit', done))));
    expect(failures).toEqual([]);
    expect(wrong).toEqual([]);
    const counts = Array.from({ length: HOT_IDS }, (_, id) => refcount[rowOf(id)]);
    expect(counts).toEqual(new Array(HOT_IDS).fill(1));
  });
});
