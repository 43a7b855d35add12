// SPDX-License-Identifier: GPL-2.0-only
/** Run queues: turns in order, and no wake-up lost, on one thread and on several. */
import { describe, expect, test } from 'vitest';
import { createMm, type Mm } from '../../../dist/src/mm/mm.js';
import { mmInit } from '../../../dist/src/mm/mm_init.js';
import {
  dropTask,
  enqueueTask,
  finishSleep,
  leastLoadedCpu,
  pickTask,
  prepareSleep,
  putTask,
  queuedTasks,
  wakeTask,
} from '../../../dist/src/mm/runqueue.js';
import { SCHED_LIVE, TASK_RUNNABLE } from '../../../dist/src/mm/sched_types.js';
import { exitNotify, killProcess, takeZombie } from '../../../dist/src/mm/task_exit.js';
import {
  abortTask,
  activateTask,
  decodeArgs,
  encodeArgs,
  findTask,
  makeTask,
  taskKilled,
} from '../../../dist/src/mm/task_rows.js';
import { spawnWorker } from '../../fixtures/spawn_worker.mjs';
import { bootFixture, fixtureConfig } from '../../helpers/mm_fixture.js';

const EAGAIN = -11;
const ECHILD = -10;
const ESRCH = -3;

/** A machine of generators whose first process is not queued any more. */
function boot(tasksMax = 8, cpus = 1): Mm {
  const [first] = fixtureConfig().processes;
  const all = Array.from({ length: cpus }, (_, cpu) => cpu);
  const processes = [{ ...(first as NonNullable<typeof first>), generator: true, cpus: all }];
  return bootFixture({ tasksMax, cpus, processes, pageTables: 64 });
}

function make(m: Mm, parent: number, cpu = 0, text = ''): number {
  const args = encodeArgs({ text }) as Uint8Array;
  const spec = { parent, mm: 0, group: 0, cpu, affinity: 1 << cpu, program: 0, args };
  const row = makeTask(m, spec);
  if (row > 0) activateTask(m, row, parent);
  return row;
}

describe('run queue', () => {
  test('goes round, and those that sleep wait outside', () => {
    const m = boot();
    const root = pickTask(m, 0);
    expect([root, pickTask(m, 0)]).toEqual([1, 0]);
    putTask(m, 0, root);
    const [a, b] = [make(m, root), make(m, root)];
    enqueueTask(m, a);
    enqueueTask(m, b);
    expect(queuedTasks(m, 0)).toBe(3);
    expect(pickTask(m, 0)).toBe(root);
    expect(putTask(m, 0, root)).toBe(true);
    expect(pickTask(m, 0)).toBe(a);
    prepareSleep(m, a);
    expect(putTask(m, 0, a)).toBe(false);
    expect(pickTask(m, 0)).toBe(b);
    putTask(m, 0, b);
    expect(wakeTask(m, a)).toBe(true);
    expect(wakeTask(m, a)).toBe(false);
    const order = [0, 1, 2].map(() => {
      const row = pickTask(m, 0);
      putTask(m, 0, row);
      return row;
    });
    expect(order).toEqual([root, b, a]);
  });

  test('a wake-up between the look and the sleep ends the sleep', () => {
    const m = boot();
    const root = pickTask(m, 0);
    prepareSleep(m, root);
    expect(wakeTask(m, root)).toBe(true);
    expect(putTask(m, 0, root)).toBe(true);
    expect(Atomics.load(m.sched.task.state, root)).toBe(TASK_RUNNABLE);
    expect(pickTask(m, 0)).toBe(root);
    prepareSleep(m, root);
    finishSleep(m, root);
    expect(putTask(m, 0, root)).toBe(true);
  });

  test('new tasks go where there are fewest', () => {
    const m = boot(8, 3);
    expect(leastLoadedCpu(m, 7)).toBe(1);
    make(m, 1, 1);
    expect(leastLoadedCpu(m, 7)).toBe(2);
    make(m, 1, 2);
    expect(leastLoadedCpu(m, 7)).toBe(0);
    expect(leastLoadedCpu(m, 4)).toBe(2);
  });

  test('four threads lose no wake-up', async () => {
    const tasks = 12;
    const [first] = fixtureConfig().processes;
    const process = { ...(first as NonNullable<typeof first>), generator: true, cpus: [0, 1] };
    const config = fixtureConfig({
      tasksMax: tasks,
      cpus: 2,
      processes: [process],
      contents: false,
    });
    const m = createMm(config);
    mmInit(m);
    for (let row = 2; row <= tasks; row++) enqueueTask(m, make(m, 1, row % 2));
    const out = new SharedArrayBuffer(4 * (2 * tasks + 4));
    const common = { buffers: m.buffers, config, threads: 4, tasks, turns: 400, out };
    const results = await Promise.all(
      [0, 1, -1, -1].map((cpu, i) => {
        const data = { ...common, id: i + 1, cpu, role: `cpu ${cpu}` };
        return spawnWorker('runqueue_thread.mjs', data, 50_000).result;
      }),
    );
    expect(results).toEqual([0, 1, 2, 3].map(() => ({ wrong: 0 })));
    expect([queuedTasks(m, 0), queuedTasks(m, 1)]).toEqual([0, 0]);
  });
});

describe('task rows', () => {
  test('are given again, with new pids; arguments travel', () => {
    const m = boot(3);
    const a = make(m, 1, 0, 'ä1');
    expect(decodeArgs(m, a)).toEqual({ text: 'ä1' });
    expect([a, findTask(m, 2)]).toEqual([2, 2]);
    const b = makeTask(m, { ...spec(), parent: a });
    expect([b, makeTask(m, spec())]).toEqual([3, EAGAIN]);
    abortTask(m, b);
    expect(takeZombie(m, a)).toBe(ECHILD);
    expect([makeTask(m, spec()), findTask(m, 4), findTask(m, 3)]).toEqual([3, 3, 0]);
  });

  test('arguments have a limit in bytes', () => {
    const bytes = (n: number) => encodeArgs('x'.repeat(n - 2));
    expect(bytes(1024)).toHaveLength(1024);
    expect(bytes(1025)).toBe(-7);
    expect(encodeArgs('ä'.repeat(512))).toBe(-7);
  });

  test('zombies wait for their parent, orphans for nobody', () => {
    const m = boot(8);
    const root = pickTask(m, 0);
    const child = make(m, root);
    const grandchild = make(m, child);
    const dead = make(m, child);
    expect(takeZombie(m, root)).toBe(EAGAIN);
    exitNotify(m, dead, 9, 1);
    exitNotify(m, child, 5, 1);
    expect(findTask(m, 4)).toBe(0);
    expect(takeZombie(m, root)).toEqual({ pid: 2, code: 5 });
    expect(takeZombie(m, root)).toBe(ECHILD);
    exitNotify(m, grandchild, 0, 1);
    expect(findTask(m, 3)).toBe(0);
    expect(Atomics.load(m.sched.words, SCHED_LIVE)).toBe(1);
    dropTask(m, 0, root);
  });

  test('kill reaches all threads of a process, and no other', () => {
    const m = boot(8);
    const [child, other] = [make(m, 1), make(m, 1)];
    const thread = makeTask(m, { ...spec(), parent: child, group: 2 });
    expect(killProcess(m, 4)).toBe(0);
    expect([child, thread, other, 1].map((row) => taskKilled(m, row))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(killProcess(m, 99)).toBe(ESRCH);
  });
});

function spec() {
  return { parent: 1, mm: 0, group: 0, cpu: 0, affinity: 1, program: 0, args: null };
}
