// SPDX-License-Identifier: GPL-2.0-only
/** Wait queue: a condition that becomes true before a wake-up is never slept through. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  no_sequence: {
    says: 'wakeUp notifies but does not bump the sequence',
    module: 'wait_queue',
    edits: [['Atomics.add(words, base + SEQ, 1);', '']],
  },
  late_count: {
    says: 'a waiter counts itself after it has tested the condition',
    module: 'wait_queue',
    edits: [
      ['Atomics.add(words, base + WAITERS, 1);', ''],
      ['while (!condition()) {', 'while (!condition()) { Atomics.add(words, base + WAITERS, 1);'],
    ],
  },
  stale_sequence: {
    says: 'a waiter that stays in the queue reads the sequence after it has tested the condition',
    module: 'wait_queue',
    edits: [
      [
        'if (!waitSleep(words, base, seq, timeoutMs))',
        'if (!waitSleep(words, base, waitAgain(words, base), timeoutMs))',
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { WAIT_QUEUE_WORDS, WAKE_ALL, waitUntil, wakeUp } = await load('wait_queue');

const QUEUE = 0;
const FLAG = WAIT_QUEUE_WORDS;
const DATA = FLAG + 1;

function waker(words, context) {
  begin(context);
  words[DATA] = 7;
  Atomics.store(words, FLAG, 1);
  wakeUp(words, QUEUE, WAKE_ALL);
}

/** Wakes twice; the first time the condition does not hold yet. */
function falseAlarm(words, context) {
  begin(context);
  wakeUp(words, QUEUE);
  words[DATA] = 7;
  Atomics.store(words, FLAG, 1);
  wakeUp(words, QUEUE);
}

function waiter(words, context) {
  begin(context);
  waitUntil(words, QUEUE, () => Atomics.load(words, FLAG) === 1);
  return words[DATA];
}

/** @returns 7 when the condition held in time, 0 when time ran out */
function boundedWaiter(words, context) {
  begin(context);
  const holds = waitUntil(words, QUEUE, () => Atomics.load(words, FLAG) === 1, 5);
  return holds ? words[DATA] : 0;
}

/** Takes one of what producers make. */
function taker(words, context) {
  begin(context);
  const took = () => {
    for (;;) {
      const seen = Atomics.load(words, FLAG);
      if (seen === 0) return false;
      if (Atomics.compareExchange(words, FLAG, seen, seen - 1) === seen) return true;
    }
  };
  waitUntil(words, QUEUE, took);
  return 7;
}

function maker(words, context) {
  begin(context);
  for (let i = 0; i < 2; i++) {
    Atomics.add(words, FLAG, 1);
    wakeUp(words, QUEUE, 1);
  }
}

const zeroed = () => sharedWords(DATA + 1);

function ended(words, results) {
  for (const result of results.slice(1)) expect(result === 7, 'a wait returned too early');
  expect(words[QUEUE + 1] === 0, 'somebody is still counted as waiting');
}

export const exploration = {
  subject: 'wait_queue',
  asserts:
    'no wake-up is lost; a wait ends with its condition true; the count of waiters ends at 0',
  plainData: false,
  plants,
  variants: {
    two: { says: 'a waiter, a waker', setup: zeroed, threads: [waker, waiter], check: ended },
    spurious: {
      says: 'a wake-up before the condition holds',
      setup: zeroed,
      threads: [falseAlarm, waiter],
      check: ended,
    },
    three: {
      says: 'two waiters, wake all',
      setup: zeroed,
      threads: [waker, waiter, waiter],
      check: ended,
    },
    timed: {
      says: 'two waiters whose time may run out at any moment',
      setup: zeroed,
      threads: [waker, boundedWaiter, boundedWaiter],
      timeouts: 'any',
      check: (words, results) => {
        for (const result of results.slice(1)) expect(result === 7 || result === 0, 'too early');
        expect(words[QUEUE + 1] === 0, 'somebody is still counted as waiting');
      },
    },
    takers: {
      says: 'two takers, a maker that wakes one at a time',
      setup: zeroed,
      threads: [maker, taker, taker],
      preemptions: 2,
      check: ended,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
