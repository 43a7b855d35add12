// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the replay bench. A pool's workers are the CPUs of one machine: worker i is CPU i and
 * runs process i + 1, which has an address space of its own. Before its first sample a CPU maps its
 * memory and replays the trace once, so that every page is resident.
 */
import { enterRcu } from '../shared/rcu.ts';
import { enterSync } from '../shared/sync_domain.ts';
import type { F64, U32 } from '../shared/types.ts';
import type { MmConfig } from '../src/mm/config.ts';
import { attachMm } from '../src/mm/mm.ts';
import type { MmBuffers } from '../src/mm/mm_buffers.ts';
import { mmapAnon } from '../src/mm/mmap.ts';
import { RUN_DONE, UserContext } from '../src/mm/user.ts';
import type { BenchJobs, BenchRun } from './bench_pool.ts';

/** What each pool is set up with. */
export interface ReplayBenchSetup {
  readonly buffers: MmBuffers;
  readonly config: MmConfig;
  readonly events: U32;
  readonly regions: F64;
}

/** Events between two looks at the clock: whole sections. */
const EVENTS_PER_RUN = 16_000;

let setup: ReplayBenchSetup | null = null;
let user: UserContext | null = null;

/** @context each worker, once */
export function setupBench(arg: unknown): void {
  setup = arg as ReplayBenchSetup;
}

/** Makes this worker CPU `cpu`, its memory mapped and resident. */
function boot({ buffers, config, events, regions }: ReplayBenchSetup, cpu: number): UserContext {
  const m = attachMm(buffers, config, cpu + 1, cpu);
  enterSync(m.sync, m.task.id);
  enterRcu(m.rcu, m.task.id);
  const mm = cpu + 1;
  m.task.mm = mm;
  Atomics.or(m.mm.cpuMask, mm, 1 << cpu);
  for (const { start, end } of config.processes[cpu]?.vmas ?? []) mmapAnon(m, mm, start, end);
  const context = new UserContext(m, mm, regions);
  const result = context.run(events, 0, events.length, 1, () => {});
  if (result !== RUN_DONE) throw new Error(`replay bench: the first pass ended with ${result}`);
  return context;
}

function prepareReplay(_data: unknown, index: number): BenchRun {
  if (setup === null) throw new Error('replay bench: no machine');
  const { events } = setup;
  user ??= boot(setup, index);
  const context = user;
  // Starting a C peer forks, and leaves this process's memory write-protected: touch it all again.
  context.run(events, 0, events.length, 1, () => {});
  let at = 0;
  return () => {
    const end = Math.min(events.length, at + EVENTS_PER_RUN);
    const result = context.run(events, at, end, 1, () => {});
    if (result !== RUN_DONE || context.mismatches > 0) {
      throw new Error(`replay bench: ended with ${result}, ${context.firstMismatch}`);
    }
    const done = end - at;
    at = end === events.length ? 0 : end;
    return done;
  };
}

export const jobs: BenchJobs = { replay: prepareReplay };
