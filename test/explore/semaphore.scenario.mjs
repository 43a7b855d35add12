// SPDX-License-Identifier: GPL-2.0-only
/** Semaphore: never more inside than it has permits, no up lost. */
import { elapsedMs, expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  torn_down: {
    says: 'a permit is taken by a load and a store',
    module: 'semaphore',
    edits: [
      [
        'const was = Atomics.compareExchange(words, base + COUNT, seen, seen - 1);',
        'const was = seen; Atomics.store(words, base + COUNT, seen - 1);',
      ],
    ],
  },
  sleeps_over: {
    says: 'a waiter counts itself after it looked for the last time',
    module: 'semaphore',
    edits: [
      [
        'Atomics.add(words, base + WAITERS, 1); // PAIRS(semaphore): before the last test of COUNT',
        '',
      ],
      [
        'Atomics.wait(words, base + COUNT, 0, leftMs);',
        'Atomics.add(words, base + WAITERS, 1); Atomics.wait(words, base + COUNT, 0, leftMs);',
      ],
    ],
    variant: 'handover',
  },
  no_notify: {
    says: 'up wakes nobody',
    module: 'semaphore',
    edits: [['Atomics.notify(words, base + COUNT, 1);', ';']],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const semaphore = await load('semaphore');

const INSIDE = 0;
const TIMEOUT_MS = 20;

function withPermits(permits) {
  return () => {
    const words = sharedWords(semaphore.SEMAPHORE_WORDS);
    words[0] = permits;
    return { words, data: sharedWords(1), permits };
  };
}

function section({ data, permits }) {
  expect(Atomics.add(data, INSIDE, 1) < permits, 'more threads are inside than permits');
  Atomics.sub(data, INSIDE, 1);
}

function user(state, context) {
  begin(context);
  semaphore.semaphoreDown(state.words, 0, 0);
  section(state);
  semaphore.semaphoreUp(state.words, 0);
  return 0;
}

function trier(state, context) {
  begin(context);
  if (!semaphore.semaphoreTryDown(state.words, 0)) return 0;
  section(state);
  semaphore.semaphoreUp(state.words, 0);
  return 0;
}

/** Its time runs out only when nothing else can happen: never, while a permit will come back. */
function patient(state, context) {
  begin(context);
  const got = semaphore.semaphoreDownTimeout(state.words, 0, 0, TIMEOUT_MS);
  expect(got && elapsedMs() < TIMEOUT_MS, 'an up was lost');
  section(state);
  semaphore.semaphoreUp(state.words, 0);
  return 0;
}

function giver({ words }, context) {
  begin(context);
  semaphore.semaphoreUp(words, 0);
  return 1;
}

function taker({ words }, context) {
  begin(context);
  semaphore.semaphoreDown(words, 0, 0);
  return -1;
}

function settled({ words, permits }, results) {
  const left = results.reduce((sum, count) => sum + count, permits);
  expect(words[0] === left, `${words[0]} permits are left of ${left}`);
  expect(words[1] === 0, `${words[1]} waiters are left`);
}

const variant = (says, permits, threads, bound = {}) => ({
  says,
  setup: withPermits(permits),
  threads,
  check: settled,
  ...bound,
});

export const exploration = {
  subject: 'semaphore',
  asserts: 'no more inside than permits; no up lost; all permits back',
  plants,
  variants: {
    two: variant('two threads, one permit', 1, [user, user]),
    timeout: variant('a down with a time-out', 1, [user, patient]),
    handover: variant('one gives, two take one each of two', 1, [giver, taker, taker]),
    try: variant('two threads and a trylock, two permits', 2, [user, trier, user], {
      preemptions: 2,
    }),
    three: variant('three threads, one permit', 1, [user, user, user], { preemptions: 2 }),
    permits: variant('three threads, two permits', 2, [user, user, user], { preemptions: 2 }),
  },
};

export const { setup, threads, check, options } = choose(exploration);
