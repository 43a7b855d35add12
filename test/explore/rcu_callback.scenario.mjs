// SPDX-License-Identifier: GPL-2.0-only
/** callRcu: each callback once, in order, after a grace period; nobody sleeps over one. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedTables } from './subject.mjs';

const plants = {
  no_grace: {
    says: 'the callbacks run without a grace period',
    module: 'rcu_callback',
    edits: [['if (noteHeads(table)) {\n            synchronizeRcu();', 'if (noteHeads(table)) {']],
  },
  late_note: {
    says: 'the queues are noted after the grace period',
    module: 'rcu_callback',
    edits: [
      [
        'if (noteHeads(table)) {\n            synchronizeRcu();',
        'if (noteHeads(table)) {\n            synchronizeRcu(); noteHeads(table);',
      ],
    ],
    variant: 'late',
  },
  silent_queue: {
    says: 'callRcu does not wake the thread that runs callbacks',
    module: 'rcu_callback',
    edits: [['wakeUp(table.queues, RCU_WORK);\n    return true;', 'return true;']],
    variant: 'queue',
  },
  silent_pass: {
    says: 'a pass that ends does not wake who waits for it',
    module: 'rcu_callback',
    edits: [['wakeUp(table.queues, RCU_DONE, WAKE_ALL);', '']],
    variant: 'barrier',
  },
  free_pass: {
    says: 'two threads run callbacks at once',
    module: 'rcu_callback',
    edits: [
      [
        'const owner = Atomics.compareExchange(table.words, RCU_PASS_OWNER, 0, self.id);',
        'const owner = Atomics.exchange(table.words, RCU_PASS_OWNER, self.id) * 0;',
      ],
    ],
    variant: 'barrier',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const rcu = await load('rcu');
const { RCU_WORK, initRcu } = await load('rcu_table');
const { wakeUp } = await load('wait_queue');
const callback = await load('rcu_callback');

const POINTER = 0;
const RAN = 1;
const LOG = 2;
const OBJECT = 8;
const GOOD = 7;
const FREED = -1;
/** The last id: those of the engine begin at 0. */
const FREE = 63;

/** The words of the execution that runs: callbacks get no more than a number. */
let words;
callback.registerRcuCallback(FREE, (object) => {
  words[LOG + Atomics.add(words, RAN, 1)] = object;
  words[OBJECT + object] = FREED;
});

function tables(queueEntries) {
  return () => {
    const made = sharedTables((builder) => ({
      rcu: rcu.declareRcu(builder, { queueEntries }),
      words: builder.columns('test.words', { words: 'i32' }, 16).words,
    }));
    initRcu(made.rcu);
    made.words[POINTER] = 1;
    made.words.fill(GOOD, OBJECT + 1, OBJECT + 4);
    return made;
  };
}

function enter(state, context) {
  begin(context);
  words = state.words;
  rcu.enterRcu(state.rcu, context.id + 1);
}

function leave() {
  rcu.leaveRcu();
  return elapsedMs();
}

function reader(state, context) {
  enter(state, context);
  rcu.rcuReadLock();
  const object = rcu.rcuDereference(words, POINTER);
  expect(words[OBJECT + object] === GOOD, 'a pointer to an object that was freed');
  Atomics.load(words, POINTER); // others may run here
  expect(words[OBJECT + object] === GOOD, 'the object was freed while it was read');
  rcu.rcuReadUnlock();
  return leave();
}

/** Replaces the object `count` times, and has the old one freed. */
function caller(count) {
  return function call(state, context) {
    enter(state, context);
    for (let object = 1; object <= count; object++) {
      rcu.rcuAssignPointer(words, POINTER, object + 1);
      // One that ran at once, as the queue was full, wakes nobody who waits for it.
      if (!callback.callRcu(FREE, object)) wakeUp(state.rcu.queues, RCU_WORK);
      rcu.rcuQuiescent();
    }
    return leave();
  };
}

/** Calls, then waits until what it called has run. */
function barrier(state, context) {
  enter(state, context);
  rcu.rcuAssignPointer(words, POINTER, 2);
  callback.callRcu(FREE, 1);
  callback.rcuBarrier();
  expect(Atomics.load(words, RAN) === 1, 'rcuBarrier returned before the callback had run');
  return leave();
}

/** Runs callbacks until `count` have run. */
function gpThread(count) {
  return function runCallbacks(state, context) {
    enter(state, context);
    const done = () => Atomics.load(words, RAN) >= count;
    while (!done()) {
      callback.rcuGpWait(state.rcu, done);
      callback.rcuGpPass(state.rcu);
    }
    return leave();
  };
}

/** One pass, whatever is queued. */
function onePass(state, context) {
  enter(state, context);
  callback.rcuGpPass(state.rcu);
  return leave();
}

function ran(count) {
  return (state, results) => {
    for (const ms of results) expect(ms < PROMPT_MS, `a sleep was ended by its time-out: ${ms} ms`);
    expect(state.words[RAN] === count, `${state.words[RAN]} callbacks ran, not ${count}`);
    for (let i = 0; i < count; i++) {
      expect(state.words[LOG + i] === i + 1, `callback ${state.words[LOG + i]} ran as number ${i}`);
    }
  };
}

export const exploration = {
  subject: 'rcu_callback',
  asserts: 'callbacks run once, in order, after a grace period; rcuBarrier waits for them',
  plants,
  variants: {
    grace: {
      says: 'a reader; a caller that waits for its callback',
      setup: tables(2),
      threads: [reader, barrier],
      check: ran(1),
    },
    one: {
      says: 'a caller, a thread that runs callbacks',
      setup: tables(2),
      threads: [caller(1), gpThread(1)],
      check: ran(1),
    },
    queue: {
      says: 'a caller of two, a thread that runs them',
      setup: tables(2),
      threads: [caller(2), gpThread(2)],
      preemptions: 2,
      check: ran(2),
    },
    full: {
      says: 'a caller of two with a queue of one',
      setup: tables(1),
      threads: [caller(2), gpThread(2)],
      preemptions: 2,
      check: (state) => expect(state.words[RAN] === 2, 'a callback was lost, or ran twice'),
    },
    barrier: {
      says: 'a caller that waits, a thread that makes one pass',
      setup: tables(2),
      threads: [barrier, onePass],
      check: ran(1),
    },
    late: {
      says: 'a reader, a caller of two, a thread that runs them',
      setup: tables(2),
      threads: [reader, caller(2), gpThread(2)],
      preemptions: 2,
      check: ran(2),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
