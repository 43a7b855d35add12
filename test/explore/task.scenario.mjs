// SPDX-License-Identifier: GPL-2.0-only
/** Requests against sleep: a thread that is asked to stop, park or freeze never sleeps over it. */
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  late_word: {
    says: 'a sleeper publishes its word after it has looked at its requests',
    module: 'sched',
    edits: [
      ['publishSleep(words, base);\n    if (isQueue)', 'if (isQueue)'],
      ['const leftMs = deadlineNs', 'publishSleep(words, base); const leftMs = deadlineNs'],
    ],
  },
  late_sequence: {
    says: 'a sleeper reads the sequence after it has looked at its requests',
    module: 'sched',
    edits: [
      [
        'sleepOnce(words, base, seq, leftMs, kind, arg);',
        'sleepOnce(words, base, waitAgain(words, base), leftMs, kind, arg);',
      ],
    ],
  },
  no_bump: {
    says: 'a kick notifies without moving the sequence',
    module: 'task',
    edits: [['Atomics.add(tasks.words, word, 1);', '']],
  },
  early_signal: {
    says: 'a thread that parks says so before its state does',
    module: 'sched',
    edits: [
      [
        'Atomics.store(threads.state, id, THREAD_PARKED);\n            signalTaskChange(tasks);',
        'signalTaskChange(tasks);\n            Atomics.store(threads.state, id, THREAD_PARKED);',
      ],
    ],
    variant: 'park',
  },
  no_second_look: {
    says: 'a thread that parks does not look again whether it still should',
    module: 'sched',
    edits: [['if ((pendingRequests() & (bit | REQUEST_STOP)) !== bit)\n            return;', '']],
    variant: 'waver',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const sched = await load('sched');
const task = await load('task');
const { declareThreads, enterThread, THREAD_PARKED, THREAD_RUNNING } = await load('thread');
const { waitQueueActive, wakeUp } = await load('wait_queue');

const QUEUE = 0;
const FLAG = 4;
/** The thread that is asked: row 0 of every scenario here. */
const TASK = 1;

function tables() {
  const made = sharedTables((builder) => ({
    threads: declareThreads(builder),
    tasks: task.declareTasks(builder),
    words: builder.columns('test.words', { words: 'i32' }, 8).words,
  }));
  made.threads.state.fill(THREAD_RUNNING, 1, 4);
  return made;
}

function enter({ threads, tasks }, context) {
  begin(context);
  enterThread(threads, context.id + 1);
  sched.enterTask(threads, tasks, context.id + 1);
}

const flagged = (words) => () => Atomics.load(words, FLAG) === 1;

/** Sleeps for the flag or a request. @returns EVENT_* */
function sleeper(state, context) {
  enter(state, context);
  const { words } = state;
  const how = sched.waitEvent(words, QUEUE, flagged(words));
  if (how === sched.EVENT_READY) expect(flagged(words)(), 'ready, but the condition is false');
  if (how === sched.EVENT_INTERRUPTED) expect(sched.pendingRequests() !== 0, 'no request');
  return how;
}

/** Sleeps for a second, or a request. */
function napper(state, context) {
  enter(state, context);
  const how = sched.scheduleTimeout(1000);
  expect(how === sched.EVENT_INTERRUPTED, 'a request was slept over');
  return how;
}

/** Works until it is asked to stop; parks and freezes when asked. */
function daemon(state, context) {
  enter(state, context);
  const { words } = state;
  while (!sched.kthreadSafePoint()) sched.waitEvent(words, QUEUE, () => false);
  return sched.EVENT_INTERRUPTED;
}

function stopper(state, context) {
  enter(state, context);
  task.postRequest(state.threads, state.tasks, TASK, task.REQUEST_STOP);
}

function waker(state, context) {
  enter(state, context);
  Atomics.store(state.words, FLAG, 1);
  wakeUp(state.words, QUEUE);
}

function parkedNow({ threads }) {
  return () => Atomics.load(threads.state, TASK) === THREAD_PARKED;
}

/** Parks the daemon, waits until it is, lets it go, stops it. */
function parker(state, context) {
  enter(state, context);
  const { threads, tasks } = state;
  task.postRequest(threads, tasks, TASK, task.REQUEST_PARK);
  sched.waitSequence(tasks.machine.taskSeq, 0, parkedNow(state));
  task.clearRequest(threads, tasks, TASK, task.REQUEST_PARK);
  task.postRequest(threads, tasks, TASK, task.REQUEST_STOP);
}

/** Freezes the daemon, waits until it is, and stops it there. */
function freezer(state, context) {
  enter(state, context);
  const { threads, tasks } = state;
  task.postRequest(threads, tasks, TASK, task.REQUEST_FREEZE);
  sched.waitSequence(tasks.machine.taskSeq, 0, parkedNow(state));
  expect(Atomics.load(tasks.frozen, TASK) === 1, 'parked, but not in the refrigerator');
  task.postRequest(threads, tasks, TASK, task.REQUEST_STOP);
}

/** Asks to park and takes it back at once. */
function waverer(state, context) {
  enter(state, context);
  const { threads, tasks } = state;
  task.postRequest(threads, tasks, TASK, task.REQUEST_PARK);
  task.clearRequest(threads, tasks, TASK, task.REQUEST_PARK);
  task.postRequest(threads, tasks, TASK, task.REQUEST_STOP);
}

function awake({ threads, tasks, words }) {
  expect(Atomics.load(tasks.waitWord, TASK) === 0, 'an awake thread has a wait word');
  expect(Atomics.load(tasks.frozen, TASK) === 0, 'an awake thread is frozen');
  expect(Atomics.load(threads.state, TASK) === THREAD_RUNNING, 'an awake thread is not running');
  expect(!waitQueueActive(words, QUEUE), 'an awake thread is counted as waiting');
}

export const exploration = {
  subject: 'task, sched',
  asserts: 'a request or a wake-up ends every sleep; who waits for a thread to park learns of it',
  plainData: false,
  plants,
  variants: {
    stop: {
      says: 'a stop against a sleep',
      setup: tables,
      threads: [sleeper, stopper],
      check: (state, results) => {
        awake(state);
        expect(results[0] === sched.EVENT_INTERRUPTED, 'a stop did not end the sleep');
      },
    },
    nap: {
      says: 'a stop against a bounded sleep',
      setup: tables,
      threads: [napper, stopper],
      check: awake,
    },
    park: {
      says: 'park, unpark and stop',
      setup: tables,
      threads: [daemon, parker],
      preemptions: 3,
      check: awake,
    },
    waver: {
      says: 'park, taken back at once, and stop',
      setup: tables,
      threads: [daemon, waverer],
      check: awake,
    },
    freeze: {
      says: 'freeze, and stop while frozen',
      setup: tables,
      threads: [daemon, freezer],
      check: awake,
    },
    race: {
      says: 'a wake-up and a stop at once',
      setup: tables,
      threads: [sleeper, stopper, waker],
      check: awake,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
