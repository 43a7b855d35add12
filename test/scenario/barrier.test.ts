// SPDX-License-Identifier: GPL-2.0-only
/** Barriers of programs: whom they wait for. */
import { expect, it } from 'vitest';
import { runWorkload } from '../../dist/src/index.js';

const module = new URL('../fixtures/barrier_programs.mjs', import.meta.url).href;
const program = { module, export: 'firstLeaves' };
const LIMIT_MS = 120_000;

it.each([
  ['parallel', 0],
  ['deterministic', 1],
  ['deterministic', 2],
] as const)(
  'a program that has returned is not waited for: %s, seed %i',
  async (mode, seed) => {
    const passed = new Int32Array(new SharedArrayBuffer(4));
    const vmas = [{ start: 65536, end: 65536 + 16 }];
    const process = (comm: string, cpus: readonly number[], barriers: number) => {
      return { comm, cpus, program, args: { barriers, passed }, vmas };
    };
    // The first CPU of each waits for the others to return; they wait for each other only.
    const processes = [process('two', [0, 1], 3), process('three', [2, 3, 4], 1)];
    const signal = AbortSignal.timeout(LIMIT_MS);
    const report = await runWorkload({ processes }, { mode, seed, memory: '4M' }, { signal });
    expect(report.panic).toBeNull();
    expect(report.interrupted).toBe(false);
    expect(passed[0]).toBe(3 + 2);
  },
  2 * LIMIT_MS,
);
