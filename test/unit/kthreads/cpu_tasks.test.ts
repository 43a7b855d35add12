// SPDX-License-Identifier: GPL-2.0-only
/** A CPU that takes turns between tasks, on the test's own thread. */
import { afterEach, expect, test } from 'vitest';
import { CpuTasks } from '../../../dist/kthreads/cpu_tasks.js';
import type { Proc, ProcCall } from '../../../dist/kthreads/proc.js';
import { leaveFaults } from '../../../dist/shared/fault.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { SCHED_LIVE } from '../../../dist/src/mm/sched_types.js';
import { killProcess } from '../../../dist/src/mm/task_exit.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { bootFixture, FIRST_VPN, fixtureConfig } from '../../helpers/mm_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

type Program = (proc: Proc, args: unknown) => ProcCall<number | undefined>;

afterEach(() => leaveFaults());

function boot(names: string[], options: object = {}): Mm {
  const [first] = fixtureConfig().processes;
  const m = bootFixture({
    tasksMax: 8,
    mmsMax: 8,
    pageTables: 64,
    vmasMax: 32,
    processes: [{ ...(first as NonNullable<typeof first>), generator: true }],
    programs: names.map((name) => ({ name, program: { module: '', export: '' }, args: null })),
    ...options,
  } as object);
  // The CPU maps what its process has, when that has its first turn.
  m.task.mm = 0;
  Atomics.store(m.mm.cpuMask, 1, 0);
  return m;
}

/** Runs until no task is left. */
function run(m: Mm, root: Program, ...programs: Program[]): void {
  const loaded = [root, ...programs].map((fn) => ({ fn, args: null }));
  new CpuTasks(m, loaded as never).run();
  expect(Atomics.load(m.sched.words, SCHED_LIVE)).toBe(0);
}

test('a CPU is waited for on account of the address space that has its turn, and no other', () => {
  const m = boot(['child']);
  const mms = [1, 2];
  const masks = (): number[] => mms.map((mm) => Atomics.load(m.mm.cpuMask, mm));
  const seen: number[][] = [];
  function* child(proc: Proc): ProcCall<number> {
    seen.push(masks());
    proc.touch(FIRST_VPN, 1, true);
    yield;
    seen.push(masks());
    return 0;
  }
  function* root(proc: Proc): ProcCall<number> {
    seen.push(masks());
    proc.touch(FIRST_VPN, 2, true);
    proc.fork('child');
    seen.push(masks());
    yield* proc.wait();
    seen.push(masks());
    return 0;
  }
  run(m, root as Program, child as Program);
  expect(seen).toEqual([
    [1, 0],
    [1, 0],
    [0, 1],
    [0, 1],
    [1, 0],
  ]);
  expect([m.task.mm, ...masks()]).toEqual([0, 0, 0]);
});

test('a fork that fails leaves the CPU where it was', () => {
  const m = boot(['child'], { pageTables: 5 });
  const seen: unknown[] = [];
  function* child(): ProcCall<number> {
    yield;
    return 0;
  }
  function* root(proc: Proc): ProcCall<number> {
    proc.touch(FIRST_VPN, 2, true);
    yield;
    seen.push(proc.fork('child'), m.task.mm, Atomics.load(m.mm.cpuMask, 1));
    proc.touch(FIRST_VPN, 4, true);
    return 0;
  }
  run(m, root as Program, child as Program);
  expect(seen).toEqual([-12, 1, 1]);
});

test('a page that cannot be read ends the process: its threads that sleep, too', () => {
  const m = boot(['sleeper'], { swap: 'file', pageCluster: 0 });
  const seen: string[] = [];
  function* sleeper(proc: Proc): ProcCall<number> {
    seen.push('sleeps');
    try {
      yield* proc.sleep(3000);
    } finally {
      // The second row. Without a signal, its time had come.
      seen.push(Atomics.load(m.sched.task.signal, 2) === 1 ? 'woken' : 'slept');
    }
    return 0;
  }
  function* root(proc: Proc): ProcCall<number> {
    proc.touch(FIRST_VPN, 256, true);
    proc.thread('sleeper');
    yield;
    expect(tryToFreeMemcgPages(m, 1, 128, () => false)).toBeGreaterThan(0);
    arm(m, 'fail_read', { times: 1 });
    proc.touch(FIRST_VPN, 256, false);
    seen.push('read');
    return 0;
  }
  run(m, root as Program, sleeper as Program);
  expect(seen).toEqual(['sleeps', 'woken']);
});

test('a process that is killed makes no thread that outlives it, nor sees the call fail', () => {
  const m = boot(['thread']);
  const seen: unknown[] = [];
  function* thread(): ProcCall<number> {
    seen.push('runs');
    yield;
    return 0;
  }
  function* root(proc: Proc): ProcCall<number> {
    // Another CPU kills it, when the call is past its first look.
    const { programs } = m.config;
    const found = programs.findIndex.bind(programs);
    programs.findIndex = ((test: never) => {
      killProcess(m, proc.pid);
      return found(test);
    }) as never;
    seen.push('calls');
    seen.push(proc.thread('thread'));
    return 0;
  }
  run(m, root as Program, thread as Program);
  expect(seen).toEqual(['calls']);
});
