// SPDX-License-Identifier: GPL-2.0-only
/**
 * Several threads write, read, cut, sync and map files of the host under memory pressure; then an
 * independent reader finds on the host exactly what they wrote.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';
import {
  hostFileProcesses,
  PAGE,
  stampedPage,
  wrongPage,
} from '../fixtures/host_file_programs.mjs';

const CPUS = 3;
const ARGS = { files: 2, pages: 240, accesses: 2500, seed: 1 };
const MACHINE: MachineConfig = { memory: '2M', swapSize: '16M', hostFiles: true };
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

interface Log {
  readonly ownSize: number;
  readonly own: readonly (readonly [number, number])[];
  readonly files: readonly (readonly (readonly [number, number])[])[];
}

/** Compares the pages of a file with what was written last; others are zeroes. @returns pages */
function comparePages(path: string, file: number, seqs: Map<number, number>): number {
  const bytes = new Uint8Array(readFileSync(join(dir, path)));
  for (let at = 0; at * PAGE < bytes.length; at++) {
    const page = bytes.subarray(at * PAGE, (at + 1) * PAGE);
    const seq = seqs.get(at) ?? 0;
    if (seq !== 0)
      expect(Buffer.compare(page, stampedPage(file, at, seq)), `${path} ${at}`).toBe(0);
    else if (file < 100) expect(wrongPage(page, file, at)).toBe(null);
  }
  return seqs.size;
}

/** @returns pages that were written */
function compareHost(cpus: number): number {
  const logs = Array.from({ length: cpus }, (_, cpu) => {
    return JSON.parse(readFileSync(join(dir, `log${cpu}`), 'utf8')) as Log;
  });
  let pages = 0;
  for (let file = 0; file < ARGS.files; file++) {
    const seqs = new Map(logs.flatMap((log) => log.files[file] ?? []));
    pages += comparePages(`f${file}`, file, seqs);
  }
  logs.forEach((log, cpu) => {
    expect(readFileSync(join(dir, `own${cpu}`)).length).toBe(log.ownSize);
    pages += comparePages(`own${cpu}`, 100 + cpu, new Map(log.own));
  });
  return pages;
}

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(reportExitCode(report)).toBe(0);
}

const run = (args: object, config: MachineConfig): Promise<RunReport> =>
  runWorkload(
    { processes: hostFileProcesses(CPUS, { ...ARGS, ...args, dir }) },
    { ...MACHINE, ...config },
  );

describe('programs that share files of the host', () => {
  it('leave on it what they wrote', { timeout: 120_000 }, async () => {
    const report = await run({}, { lockdep: true });
    expectClean(report);
    expect(report.vmstat.pgsteal_file).toBeGreaterThan(100);
    expect(report.vmstat.nr_written).toBeGreaterThan(300);
    expect(compareHost(CPUS)).toBeGreaterThan(300);
  });

  it('lose nothing to faults', { timeout: 120_000 }, async () => {
    const report = await run({ seed: 2 }, { lockdep: true, faults: 'all' });
    expectClean(report);
    expect(compareHost(CPUS)).toBeGreaterThan(300);
  });

  it('in a schedule of its own', { timeout: 120_000 }, async () => {
    const report = await run(
      { seed: 3, accesses: 600 },
      { mode: 'deterministic', seed: 3, memcgMax: '1M' },
    );
    expectClean(report);
    expect(compareHost(CPUS)).toBeGreaterThan(100);
  });
});
