// SPDX-License-Identifier: GPL-2.0-only
/** Generator programs use files, on real threads and in schedules; nothing is left of them. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';
import { PAGE, wrongPage } from '../fixtures/host_file_programs.mjs';
import { procFileWorkload } from '../fixtures/proc_file_programs.mjs';

const LIMIT = { timeout: 120_000 };
const MACHINE: MachineConfig = { memory: '4M', swapSize: '16M', lockdep: true, hostFiles: true };
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  expect(reportExitCode(report)).toBe(0);
}

async function run(name: string, options: object = {}, config: MachineConfig = {}) {
  const report = await runWorkload(procFileWorkload(name, options), { ...MACHINE, ...config });
  expectClean(report);
  return report;
}

/** Every file of the directory is made of whole pages, each of some write. */
function expectWholePages(): void {
  for (const name of readdirSync(dir)) {
    const bytes = new Uint8Array(readFileSync(join(dir, name)));
    const file = name === 'common' ? 999 : Number(name.replace('own', ''));
    expect(bytes.length % PAGE).toBe(0);
    for (let page = 0; page * PAGE < bytes.length; page++) {
      const whole = bytes.subarray(page * PAGE, (page + 1) * PAGE);
      expect(wrongPage(whole, file, page)).toBeNull();
    }
  }
}

const modes: readonly (readonly [string, MachineConfig])[] = [
  ['parallel', {}],
  ...[1, 2].map((seed) => [`seed ${seed}`, { mode: 'deterministic', seed } as const] as const),
];

describe.each(modes)('files of generator programs, %s', (_mode, config) => {
  it('calls fail as Linux says', LIMIT, async () => {
    mkdirSync(join(dir, 'sub'));
    writeFileSync(join(dir, 'sub', 'deep'), '');
    writeFileSync(join(dir, 'there'), 'there');
    await run('calls', { args: { dir } }, config);
    expect(readdirSync(dir)).toEqual(['new', 'sub', 'there']);
  });

  it('a child has what its parent has open, a thread shares it', LIMIT, async () => {
    const programs = ['inheritor', 'stranger', 'opener', 'parentThread', 'lateThread'];
    await run('inherits', { args: { dir }, programs }, config);
    expect(readFileSync(join(dir, 'f'), 'latin1')).toBe('abcdef');
  });

  it('threads open, close and use what is the same', LIMIT, async () => {
    const options = { args: { dir, steps: 100 }, cpus: 3, programs: ['racer'] };
    await run('racers', options, { ...config, faults: { delay: { oneIn: 3 } } as never });
    expect(readdirSync(dir)).toEqual(['f0', 'f1', 'f2', 'f3']);
  });

  it('maps files, privately and shared', LIMIT, async () => {
    await run('mapper', { args: { dir }, programs: ['mapChild', 'beyond'] }, config);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('files of tmpfs have pages', LIMIT, async () => {
    const programs = ['tmpfsChild'];
    await run('tmpfs', { programs }, { ...config, filePagesMax: 4096, inodesMax: 64 });
  });

  it('many at once, some killed in the middle', LIMIT, async () => {
    const args = { dir, clerks: 12, steps: 60, kills: 4, seed: 5 };
    const report = await run('office', { args, programs: ['clerk'] }, { ...config, memory: '2M' });
    expect(report.tasks?.kills).toBeGreaterThan(0);
    expectWholePages();
  });
});

describe('files of generator programs', () => {
  it('lose nothing to faults', LIMIT, async () => {
    const args = { dir, clerks: 16, steps: 150, kills: 5, seed: 6 };
    const options = { cpus: 3, args, programs: ['clerk'] };
    await run('office', options, { memory: '2M', faults: 'all' });
    expectWholePages();
  });

  it('find directories mounted that the configuration names', LIMIT, async () => {
    const dirs = ['first', 'second'].map((name) => {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, name), name);
      return join(dir, name);
    });
    await run('mounted', { cpus: 3 }, { hostFiles: dirs, dirtyRatio: 35 });
    expect(readFileSync(join(dir, 'second', 'second'), 'latin1')).toBe('second!');
    const seed = { mode: 'deterministic', seed: 3 } as const;
    await run('mounted', { cpus: 3 }, { hostFiles: dirs, dirtyRatio: 35, ...seed });
    expect(readFileSync(join(dir, 'second', 'second'), 'latin1')).toBe('second!!');
  });

  it('there are none where the machine has none', LIMIT, async () => {
    const workload = procFileWorkload('calls', { args: { dir } });
    const report = await runWorkload(workload, { ...MACHINE, hostFiles: false });
    expect(report.panic?.message).toContain('no such directory: -19, not -2');
  });
});
