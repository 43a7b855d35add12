// SPDX-License-Identifier: GPL-2.0-only
/** Simulated processes that sleep, end and are killed, on run queues of two CPUs. */
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  queued_twice: {
    says: 'a task that is woken while it still runs goes to the queue',
    module: 'mm/runqueue',
    edits: [['if (slept && current)', 'if (false)']],
    variant: 'child',
  },
  silent_wake: {
    says: 'who queues a task does not wake its CPU',
    module: 'mm/runqueue',
    edits: [['if (slept && !current)\n        wakeCpu(m, cpu);', '']],
    variant: 'child',
  },
  early_wake: {
    says: 'a parent is woken before its child is a zombie',
    module: 'mm/task_exit',
    edits: [
      [
        '    tasklistLock(m);\n    orphanChildren',
        '    postSignal(m, task.parent[row]); tasklistLock(m);\n    orphanChildren',
      ],
      ['        postSignal(m, parent);\n    }\n    tasklistUnlock', '    }\n    tasklistUnlock'],
    ],
    variant: 'child',
  },
  free_waker: {
    says: 'the OOM killer wakes tasks without tasklist_lock',
    module: 'mm/runqueue',
    edits: [
      ['tasklistLock(m);', ''],
      ['tasklistUnlock(m);', ''],
    ],
    variant: 'heir',
  },
  late_signal: {
    says: 'a task is woken before it is said to be killed',
    module: 'mm/task_exit',
    edits: [
      [
        'Atomics.store(task.signal, row, 1);\n        wakeTask(m, row);',
        'wakeTask(m, row); Atomics.store(task.signal, row, 1);',
      ],
    ],
    variant: 'sleeper',
  },
  blind_maker: {
    says: 'a thread is made without a look whether its process is killed',
    module: 'mm/task_rows',
    edits: [['const row = killed ? 0 : takeRow(m);', 'const row = takeRow(m);']],
    variant: 'maker',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { waitUntil } = await load('wait_queue');
const rows = await load('mm/task_rows');
const queue = await load('mm/runqueue');
const { exitNotify, killProcess, takeZombie } = await load('mm/task_exit');
const S = await load('mm/sched_types');

const LINE = 32;
const EAGAIN = -11;
const EXIT_CODE = 7;
const MM = 1;
const CONFIG = { cpus: 2, tasksMax: 3, contents: false, pageTables: 0 };

/** The machine as a CPU, or a kernel thread, sees it. */
const on = (state, cpu) => ({ ...state, task: { cpu } });

/** A task of a CPU. @returns its row */
function make(m, cpu, { parent = 0, group = 0, mm = 0 } = {}) {
  const row = rows.makeTask(m, { parent, mm, group, cpu, affinity: 3, program: 0, args: null });
  if (row > 0) rows.activateTask(m, row, parent);
  return row;
}

/** Row 1 runs on CPU 0; `second` makes row 2, which runs on a CPU. */
function tables(second) {
  const state = { sched: sharedTables((b) => S.declareSched(b, CONFIG, 2)), config: CONFIG };
  begin({ id: 0 });
  const m = on(state, 0);
  queue.enqueueTask(m, make(m, 0));
  expect(queue.pickTask(m, 0) === 1, 'the first task does not run');
  second?.(m);
  return state;
}

/** Row 2 is a task of a CPU, and runs. */
function running(m, cpu, spec) {
  queue.enqueueTask(m, make(m, cpu, spec));
  expect(queue.pickTask(m, cpu) === 2, 'the second task does not run');
}

function thread(name, cpu, act) {
  const run = (state, context) => {
    begin(context);
    return act(on(state, cpu)) ?? 0;
  };
  return Object.defineProperty(run, 'name', { value: name });
}

/** Row 1, on CPU 0: sleeps until `look` gives something. */
function sleepUntil(m, look) {
  for (;;) {
    queue.prepareSleep(m, 1);
    const seen = look();
    if (seen !== undefined) {
      queue.finishSleep(m, 1);
      return seen;
    }
    queue.putTask(m, 0, 1);
    waitUntil(m.sched.rqWait, 0, () => queue.queuedTasks(m, 0) > 0);
    expect(queue.pickTask(m, 0) === 1, 'CPU 0 picks another task');
  }
}

const parent = thread('parent', 0, (m) => {
  const ended = sleepUntil(m, () => {
    const zombie = takeZombie(m, 1);
    return zombie === EAGAIN ? undefined : zombie;
  });
  return ended.code;
});
const child = thread('child', 1, (m) => {
  queue.dropTask(m, 1, 2);
  exitNotify(m, 2, EXIT_CODE, S.HOW_EXITED);
});
const sleeper = thread('sleeper', 0, (m) => {
  return sleepUntil(m, () => (rows.taskKilled(m, 1) ? 1 : undefined));
});
const killer = thread('killer', -1, (m) => killProcess(m, 1));
const oomKiller = thread('oomKiller', -1, (m) => queue.wakeTasksOf(m, MM));
/** Row 2 ends on CPU 0; the next that has it sleeps on CPU 1. */
const heir = thread('heir', 0, (m) => {
  Atomics.store(m.sched.task.mm, 2, 0);
  queue.putTask(m, 0, 1);
  queue.dropTask(m, 0, 2);
  exitNotify(m, 2, 0, S.HOW_EXITED);
  const other = on(m, 1);
  running(other, 1);
  queue.prepareSleep(other, 2);
});
/** Row 1 makes a thread of its process, as row 2, which is queued. */
const maker = thread('maker', 0, (m) => {
  const row = make(m, 0, { parent: 1, group: 1 });
  if (row > 0) queue.enqueueTask(m, row);
  return row;
});

/** Tasks on a CPU's queue. @throws when it is broken */
function queued({ sched: { rq, task } }, cpu) {
  const found = [];
  for (let row = rq[cpu * LINE + S.RQ_HEAD]; row !== 0; row = task.rqNext[row]) {
    expect(found.length < CONFIG.tasksMax, `the queue of CPU ${cpu} has no end`);
    expect(task.cpu[row] === cpu, `task ${row} is on the queue of CPU ${cpu}`);
    expect(
      task.state[row] === S.TASK_RUNNABLE,
      `task ${row} is queued in state ${task.state[row]}`,
    );
    found.push(row);
  }
  expect(rq[cpu * LINE + S.RQ_QUEUED] === found.length, `CPU ${cpu} counts others than it has`);
  expect(!found.includes(rq[cpu * LINE + S.RQ_CURR]), `CPU ${cpu} runs a task that is queued`);
  return found;
}

function sound(state, wanted) {
  const found = [queued(state, 0), queued(state, 1)];
  expect(JSON.stringify(found) === JSON.stringify(wanted), `queues: ${JSON.stringify(found)}`);
}

export const exploration = {
  subject: 'runqueue',
  asserts:
    'no wake-up is lost; a task is on one queue at most, that of its CPU; a child is found once ' +
    'by its parent; who is killed, is killed with all its threads',
  plants,
  variants: {
    child: {
      says: 'a child ends; its parent waits for it',
      setup: () => tables((m) => running(on(m, 1), 1, { parent: 1 })),
      threads: [parent, child],
      check: (state, [code]) => {
        sound(state, [[], []]);
        expect(code === EXIT_CODE, `the child ended with ${code}`);
      },
    },
    sleeper: {
      says: 'a task that sleeps is killed',
      setup: () => tables(),
      threads: [sleeper, killer],
      check: (state) => sound(state, [[], []]),
    },
    heir: {
      says: 'the OOM killer wakes tasks; one ends, the next of its row sleeps on another CPU',
      setup: () =>
        tables((m) => {
          queue.putTask(m, 0, 1);
          queue.enqueueTask(m, make(m, 0, { mm: MM }));
          queue.pickTask(m, 0);
          queue.putTask(m, 0, 1);
          queue.pickTask(m, 0);
        }),
      threads: [heir, oomKiller],
      check: (state) => {
        sound(state, [[1], []]);
        expect(state.sched.task.state[2] === S.TASK_SLEEPING, 'the heir was woken');
      },
    },
    maker: {
      says: 'a process is killed while it makes a thread',
      setup: () => tables(),
      threads: [maker, killer],
      check: (state, [made]) => {
        sound(state, [made > 0 ? [2] : [], []]);
        expect(made === EAGAIN || state.sched.task.signal[2] === 1, 'a thread was not killed');
      },
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
