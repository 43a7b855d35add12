// SPDX-License-Identifier: GPL-2.0-only
/** The WebAssembly access kernel against its TypeScript twin. */
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Prng } from '../../../dist/shared/prng.js';
import {
  accessKernelOf,
  accessWindow,
  accessWindowOf,
} from '../../../dist/src/mm/access_kernel.js';
import { SECTION_EVENTS_MAX } from '../../../dist/src/mm/limits.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  accessMachine,
  CORRUPT,
  ENTRIES,
  FIRST_TABLE,
  FRAME_OFFSET,
  HOT_ENTRIES,
  REGIONS,
  ROUNDS,
  STOP,
} from '../../fixtures/access_machine.mjs';

/** What both threads of the concurrent test must have done. */
const ROUNDS_MIN = 200_000;
const PASSES_MIN = 500;
const BASE = FIRST_TABLE * 512;

interface Outcome {
  readonly stops: readonly number[];
  readonly pfns: readonly number[];
  readonly ptes: readonly number[];
}

/** Random entries: mostly present, any mix of bits; some swapped, some empty. */
function randomTables(m: Mm, prng: Prng): Int32Array {
  for (let i = 0; i < ENTRIES; i++) {
    const bits = prng.below(16) === 0 ? prng.below(32) & ~1 : prng.below(32) | 1;
    m.pte[BASE + i] = prng.below(50) === 0 ? 0 : (prng.below(1 << 23) << 8) | bits;
  }
  for (let i = 0; i < 512; i++) m.pte[512 + i] = (i << 8) | 1 | (prng.below(2) << 2);
  const tables = new Int32Array(REGIONS);
  for (let region = 0; region < REGIONS; region++) {
    tables[region] = prng.below(8) === 0 ? -1 : (FIRST_TABLE + region) * 512;
  }
  return tables;
}

/** Runs the whole window, stepping over each event that faults. */
function runAll(m: Mm, end: number, access: (first: number) => number): Outcome {
  const before = m.pte.slice();
  const window = accessWindowOf(m);
  window.pfns.fill(-1);
  const stops: number[] = [];
  for (let at = 0; at < end; at = (stops.at(-1) as number) + 1) stops.push(access(at));
  const outcome = { stops, pfns: [...window.pfns.subarray(0, end)], ptes: [...m.pte] };
  m.pte.set(before);
  return outcome;
}

describe('access kernel', () => {
  test('does what its twin does on random tables and events', () => {
    const m = accessMachine();
    const kernel = accessKernelOf(m);
    if (kernel === null) throw new Error('the configuration asks for the kernel');
    const window = accessWindowOf(m);
    let faults = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const prng = new Prng(seed);
      const tables = randomTables(m, prng);
      const end = 1 + prng.below(SECTION_EVENTS_MAX);
      for (let i = 0; i < end; i++) window.events[i] = (prng.below(ENTRIES) << 2) | prng.below(3);
      kernel.bind(tables);
      const twin = runAll(m, end, (first) => accessWindow(m, window, tables, first, end));
      const ours = runAll(m, end, (first) => kernel.access(first, end));
      expect(ours, `seed ${seed}`).toEqual(twin);
      faults += twin.stops.length - 1;
    }
    expect(faults).toBeGreaterThan(1000);
  });

  test('follows a region that gets its table, and a change of program', () => {
    const m = accessMachine();
    const kernel = accessKernelOf(m);
    const window = accessWindowOf(m);
    m.pte[BASE] = (7 << 8) | 15;
    const mine = new Int32Array(REGIONS).fill(-1);
    const other = new Int32Array(REGIONS).fill(-1);
    window.events[0] = 0;
    kernel?.bind(mine);
    expect(kernel?.access(0, 1)).toBe(0);
    mine[0] = BASE;
    kernel?.setTable(mine, 0);
    expect(kernel?.access(0, 1)).toBe(1);
    expect(window.pfns[0]).toBe(7);
    kernel?.bind(other);
    expect(kernel?.access(0, 1)).toBe(0);
    expect(kernel?.takes(new Int32Array(1000), 1000)).toBe(false);
  });

  test('never marks an entry that another thread has taken', async () => {
    const m = accessMachine();
    const kernel = accessKernelOf(m);
    if (kernel === null) throw new Error('the configuration asks for the kernel');
    const window = accessWindowOf(m);
    const prng = new Prng(7);
    for (let i = 0; i < ENTRIES; i++) m.pte[BASE + i] = ((i + 1) << 8) | 3;
    const tables = Int32Array.from({ length: REGIONS }, (_, i) => BASE + i * 512);
    kernel.bind(tables);
    const control = new Int32Array(new SharedArrayBuffer(16));
    const worker = new Worker(new URL('../../fixtures/access_machine.mjs', import.meta.url), {
      workerData: { takeEntries: true, buffers: m.buffers, control },
    });
    const wrong: string[] = [];
    for (let pass = 0; Atomics.load(control, ROUNDS) < ROUNDS_MIN || pass < PASSES_MIN; pass++) {
      if (pass === 0 && Atomics.wait(control, ROUNDS, 0, 20_000) === 'timed-out') {
        throw new Error('the worker that takes entries has not begun');
      }
      for (let i = 0; i < SECTION_EVENTS_MAX; i++) {
        window.events[i] = (prng.below(HOT_ENTRIES) << 2) | prng.below(2);
      }
      for (let at = 0; at < SECTION_EVENTS_MAX; ) {
        const done = kernel.access(at, SECTION_EVENTS_MAX);
        for (; at < done; at++) {
          const frame = (window.pfns[at] as number) & ~FRAME_OFFSET;
          const slot = (window.events[at] as number) >>> 2;
          if (frame !== slot + 1) wrong.push(`slot ${slot}: frame ${frame}`);
        }
        at = done + 1;
      }
    }
    Atomics.store(control, STOP, 1);
    await new Promise((resolve) => worker.once('exit', resolve));
    expect(wrong).toEqual([]);
    expect(control[CORRUPT]).toBe(0);
  });
});
