// SPDX-License-Identifier: GPL-2.0-only
/** RCU: nobody uses what a grace period has taken away, and no grace period is slept over. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedTables } from './subject.mjs';

const plants = {
  no_wait: {
    says: 'a grace period ends without looking at the readers',
    module: 'rcu',
    edits: [['if (!rowPasses(table.seen, id, gp)) {', 'if (id < 0) {']],
  },
  early_share: {
    says: 'a caller shares a grace period that began before it',
    module: 'rcu',
    edits: [['return ((completed - since) | 0) > 0;', 'return ((completed - since) | 0) >= 0;']],
  },
  silent_report: {
    says: 'a quiescent state is published without waking the driver',
    module: 'rcu_state',
    edits: [['        Atomics.notify(seen, reader.row);', '{}']],
  },
  quiet_driver: {
    says: 'a driver that lets go wakes nobody',
    module: 'rcu',
    edits: [['Atomics.notify(words, RCU_DRIVER_SEQ);', '']],
    variant: 'updaters',
  },
  late_online: {
    says: 'a thread that wakes goes on before its row says so',
    module: 'rcu_state',
    edits: [
      ['Atomics.store(rows.seen, reader.row, gpSeen);\n    reader.nest = 0;', 'reader.nest = 0;'],
    ],
    variant: 'sleeper',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const rcu = await load('rcu');
const { initRcu } = await load('rcu_table');

const POINTER = 0;
const OBJECT = 1;
const GOOD = 7;
const FREED = -1;

/** An object 1 that POINTER names, and an object 2 to replace it. */
function tables() {
  const made = sharedTables((builder) => ({
    rcu: rcu.declareRcu(builder, { queueEntries: 2 }),
    words: builder.columns('test.words', { words: 'i32' }, 8).words,
  }));
  initRcu(made.rcu);
  made.words[POINTER] = 1;
  made.words[OBJECT + 1] = GOOD;
  made.words[OBJECT + 2] = GOOD;
  return made;
}

function enter(state, context) {
  begin(context);
  rcu.enterRcu(state.rcu, context.id + 1);
}

/** @returns virtual ms that its part took */
function leave() {
  rcu.leaveRcu();
  return elapsedMs();
}

/** A read-side section in which others may run between the two reads of the object. */
function readOnce({ words }) {
  rcu.rcuReadLock();
  const object = rcu.rcuDereference(words, POINTER);
  expect(words[OBJECT + object] === GOOD, 'a pointer to an object that was freed');
  Atomics.load(words, POINTER); // others may run here
  expect(words[OBJECT + object] === GOOD, 'the object was freed while it was read');
  rcu.rcuReadUnlock();
}

function reader(state, context) {
  enter(state, context);
  readOnce(state);
  rcu.rcuQuiescent();
  readOnce(state);
  return leave();
}

/** Sleeps between its sections: offline, then online again. */
function sleeper(state, context) {
  enter(state, context);
  rcu.rcuOffline();
  rcu.rcuOnline();
  readOnce(state);
  return leave();
}

function reads(state, context) {
  enter(state, context);
  readOnce(state);
  return leave();
}

/** Replaces the object, waits, and frees the old one. */
function replace({ words }, object) {
  const old = rcu.rcuDereference(words, POINTER);
  rcu.rcuAssignPointer(words, POINTER, object);
  rcu.synchronizeRcu();
  words[OBJECT + old] = FREED;
}

function updater(state, context) {
  enter(state, context);
  replace(state, 2);
  return leave();
}

/** Waits for grace periods of its own. */
function synchronizer(state, context) {
  enter(state, context);
  rcu.synchronizeRcu();
  return leave();
}

/** Polls a cookie; frees only when it says that a grace period has passed. */
function poller(state, context) {
  enter(state, context);
  const { words } = state;
  rcu.rcuAssignPointer(words, POINTER, 2);
  const cookie = rcu.getStateSynchronizeRcu();
  if (!rcu.pollStateSynchronizeRcu(cookie)) rcu.condSynchronizeRcu(cookie);
  expect(rcu.pollStateSynchronizeRcu(cookie), 'no grace period has passed the cookie');
  words[OBJECT + 1] = FREED;
  return leave();
}

function prompt(_, results) {
  for (const ms of results) expect(ms < PROMPT_MS, `a sleep was ended by its time-out: ${ms} ms`);
}

export const exploration = {
  subject: 'rcu',
  asserts: 'no reader meets a freed object; every sleep of a grace period is ended by a wake-up',
  plants,
  variants: {
    two: {
      says: 'a reader of two sections, an updater',
      setup: tables,
      threads: [reader, updater],
      check: prompt,
    },
    sleeper: {
      says: 'a reader that slept, an updater',
      setup: tables,
      threads: [sleeper, updater],
      check: prompt,
    },
    poll: { says: 'a reader, a poller', setup: tables, threads: [reads, poller], check: prompt },
    updaters: {
      says: 'two that wait for grace periods',
      setup: tables,
      threads: [updater, synchronizer],
      preemptions: 3,
      check: prompt,
    },
    readers: {
      says: 'two readers, an updater',
      setup: tables,
      threads: [reads, reads, updater],
      preemptions: 2,
      check: prompt,
    },
    shared: {
      says: 'a reader, an updater, another that drives or shares its grace period',
      setup: tables,
      threads: [reads, updater, synchronizer],
      preemptions: 2,
      check: prompt,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
