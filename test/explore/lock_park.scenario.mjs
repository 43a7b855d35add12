// SPDX-License-Identifier: GPL-2.0-only
/** Dead owners: who waits for a thread that died learns of it, or is let go on, in bounded time. */
import { elapsedMs, expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  waits_on: {
    says: 'a waiter whose bounded sleep timed out does not look at the owner',
    module: 'lock_word',
    edits: [
      [
        "=== 'timed-out')\n            checkOwnerAlive(words, index, cls);",
        "=== '')\n            {}",
      ],
    ],
    variant: 'spinlock',
  },
  accuses: {
    says: 'the owner is taken for dead without a second look at the word',
    module: 'lock_class',
    edits: [
      [
        'if (owner === 0 || threadAlive(owner))\n        return;\n' +
          '    if ((Atomics.load(words, index) & OWNER_MASK) === owner)',
        'if (owner === 0 || threadAlive(owner))\n        return;\n    if (owner !== 0)',
      ],
    ],
    variant: 'leaver',
  },
  immortal_driver: {
    says: 'a driver of grace periods that died is waited for',
    module: 'rcu',
    edits: [["if (woken === 'timed-out' && !threadAlive(driver))", 'if (woken === 0)']],
    variant: 'driver',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { spinLock, spinUnlock } = await load('spinlock');
const { mutexLock, mutexUnlock } = await load('atomics_mutex');
const rcu = await load('rcu');
const { RCU_DRIVER, RCU_GP } = await load('rcu_state');
const { rcuStalls } = await load('rcu_stall');
const { initRcu } = await load('rcu_table');
const { declareSrcu, SrcuDomain } = await load('srcu');
const { declareThreads, enterThread, THREAD_DEAD, THREAD_EXITED, THREAD_RUNNING } =
  await load('thread');

const LOCK = 0;
const BOUND_MS = 1000;

function tables() {
  const made = sharedTables((builder) => ({
    threads: declareThreads(builder),
    rcu: rcu.declareRcu(builder, { queueEntries: 1 }),
    srcu: declareSrcu(builder, 'srcu'),
    words: builder.columns('test.words', { words: 'i32' }, 4).words,
  }));
  initRcu(made.rcu);
  made.threads.state.fill(THREAD_RUNNING, 1, 4);
  return made;
}

function enter({ threads }, context) {
  begin(context);
  enterThread(threads, context.id + 1);
}

/** What the runtime writes for a thread that is gone. */
function die({ threads }, context, state = THREAD_DEAD) {
  Atomics.store(threads.state, context.id + 1, state);
}

const LOCKS = {
  spinlock: [spinLock, spinUnlock],
  mutex: [mutexLock, mutexUnlock],
};

function diesHolding(kind) {
  return function dier(state, context) {
    enter(state, context);
    LOCKS[kind][0](state.words, LOCK, 0);
    die(state, context);
  };
}

/** @returns 1 when it was told that the holder is dead, 0 when it had the lock */
function takes(kind) {
  return function taker(state, context) {
    enter(state, context);
    const [lock, unlock] = LOCKS[kind];
    try {
      lock(state.words, LOCK, 0);
    } catch (error) {
      if (error.name !== 'BugError' || !/dead thread/.test(error.message)) throw error;
      expect(elapsedMs() < BOUND_MS, 'it took too long to learn that the holder is dead');
      return 1;
    }
    unlock(state.words, LOCK, 0);
    return 0;
  };
}

/** Unlocks in order, then ends: it is gone, but no dead holder. */
function leaver(state, context) {
  enter(state, context);
  spinLock(state.words, LOCK, 0);
  elapsedMs();
  spinUnlock(state.words, LOCK, 0);
  die(state, context, THREAD_EXITED);
}

/** Looks at the holder as a waiter does whose bounded sleep has timed out. */
function accuser(state, context) {
  enter(state, context);
  checkOwnerAlive(state.words, LOCK, 0);
}

const { checkOwnerAlive } = await load('lock_class');

/** Registered and online, never heard of again. */
function deadReader(state, context) {
  enter(state, context);
  rcu.enterRcu(state.rcu, context.id + 1);
  rcu.rcuReadLock();
  die(state, context);
}

/** Dies in the middle of a grace period that it drives. */
function deadDriver(state, context) {
  enter(state, context);
  const { words } = state.rcu;
  const me = context.id + 1;
  if (Atomics.compareExchange(words, RCU_DRIVER, 0, me) === 0) Atomics.add(words, RCU_GP, 1);
  die(state, context);
}

function synchronizes(state, context) {
  enter(state, context);
  rcu.enterRcu(state.rcu, context.id + 1);
  rcu.synchronizeRcu();
  rcu.leaveRcu();
  return elapsedMs();
}

function deadSection(state, context) {
  enter(state, context);
  new SrcuDomain(state.srcu, 0, context.id + 1).readLock();
  die(state, context);
}

function synchronizesSrcu(state, context) {
  enter(state, context);
  new SrcuDomain(state.srcu, 0, context.id + 1).synchronize();
  return elapsedMs();
}

function bounded(_, results) {
  expect(results[1] < BOUND_MS, `it took ${results[1]} ms to go on without the dead`);
}

export const exploration = {
  subject: 'lock_park, lock_class',
  asserts:
    'a waiter for a dead owner is told, or goes on, in bounded time; the living are not accused',
  plainData: false,
  plants,
  variants: {
    spinlock: {
      says: 'the holder of a spinlock dies',
      setup: tables,
      threads: [diesHolding('spinlock'), takes('spinlock')],
    },
    spinlock3: {
      says: 'the holder of a spinlock dies, two wait',
      setup: tables,
      threads: [diesHolding('spinlock'), takes('spinlock'), takes('spinlock')],
    },
    mutex: {
      says: 'the holder of a mutex dies',
      setup: tables,
      threads: [diesHolding('mutex'), takes('mutex')],
    },
    leaver: {
      says: 'a holder unlocks and ends while another looks at it',
      setup: tables,
      threads: [leaver, accuser],
    },
    reader: {
      says: 'a reader dies in its section',
      setup: tables,
      threads: [deadReader, synchronizes],
      check: (state, results) => {
        bounded(state, results);
        const dead = rcuStalls(state.rcu).length;
        expect(dead <= 1, `${dead} deaths recorded`);
      },
    },
    driver: {
      says: 'the driver of a grace period dies',
      setup: tables,
      threads: [deadDriver, synchronizes],
      check: bounded,
    },
    srcu: {
      says: 'a thread dies in an SRCU section',
      setup: tables,
      threads: [deadSection, synchronizesSrcu],
      check: bounded,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
