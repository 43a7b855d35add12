// SPDX-License-Identifier: GPL-2.0-only
/** A victim that does not die loses its memory: on threads, and in one schedule at a time. */
import { describe, expect, it, test } from 'vitest';
import { CPU_MISMATCHES, CPU_RESULT } from '../../dist/kthreads/cpu_state.js';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { LINE_WORDS } from '../../dist/shared/types.js';
import { resolveMachine } from '../../dist/src/config.js';
import { runOnHost } from '../../dist/src/deterministic/host_client.js';
import { Machine } from '../../dist/src/machine.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { RUN_DONE, RUN_KILLED } from '../../dist/src/mm/user.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { oomConfig } from '../fixtures/oom_programs.mjs';
import { noThreadLeft } from '../fixtures/toy.mjs';

const LIMIT_MS = 120_000;

test.each([
  { victimCpus: 1, needyCpus: 1 },
  { victimCpus: 2, needyCpus: 2 },
])(
  'oom_reaper: a stuck victim of $victimCpus threads gives way to $needyCpus',
  async (shape) => {
    const machine = await Machine.boot(oomConfig(shape));
    const m = machine.mm;
    await machine.run();
    expect(await machine.freeze()).toBe(true);
    expect(checkQuiescent(m).violations).toEqual([]);
    const cpus = Array.from({ length: m.config.cpus }, (_, cpu) => cpu * LINE_WORDS);
    const results = cpus.map((row) => m.cpuState[row + CPU_RESULT]);
    expect(results).toEqual(cpus.map((_, cpu) => (cpu < shape.victimCpus ? RUN_KILLED : RUN_DONE)));
    expect(cpus.map((row) => m.cpuState[row + CPU_MISMATCHES])).toEqual(cpus.map(() => 0));
    machine.thaw();
    expect((await machine.shutdown()).panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    expect(vmEvents(m)).toMatchObject({ oom_kill: 1, kr_oom_reaped: 1 });
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);

describe('oom_reaper in one schedule at a time', () => {
  it.each([1, 2, 3, 4])(
    'seed %d holds, faults and all',
    async (seed) => {
      const made = oomConfig({ victimCpus: 2, needyCpus: 1 });
      const processes = made.processes.map(({ comm, cpus, program, args, vmas }) => {
        return { comm, cpus, program, args, vmas };
      });
      const config = { mode: 'deterministic', seed, swap: 'none', lockdep: true } as const;
      const faults = seed % 2 === 0 ? ('all' as const) : null;
      const memory = 640 * 4096;
      const resolved = resolveMachine({ ...config, memory, faults }, processes);
      const report = await runOnHost({ processes }, resolved);
      expect(report.panic).toBeNull();
      expect(report.integrity.details).toEqual([]);
      expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
      expect(report.counters.kr_oom_reaped).toBe(1);
    },
    LIMIT_MS,
  );
});
