// SPDX-License-Identifier: GPL-2.0-only
/** spinUntil: spins, then sleeps, and misses no change that is notified. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  sleeps_over: {
    says: 'the sleep is on the value that the word has now, not on the one that was tested',
    module: 'cpu_relax',
    edits: [
      [
        'Atomics.wait(words, index, seen);',
        'Atomics.wait(words, index, Atomics.load(words, index));',
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { spinUntil, spinWhileEqual } = await load('cpu_relax');

const WORD = 0;
const DATA = 1;

function writer(words, context) {
  begin(context);
  for (let value = 1; value <= 3; value++) {
    words[DATA + value] = value;
    Atomics.store(words, WORD, value);
    Atomics.notify(words, WORD);
  }
}

function waiter(words, context) {
  begin(context);
  const seen = spinUntil(words, WORD, (value) => value >= 2);
  expect(seen >= 2, 'the wait ended too early');
  return words[DATA + 2];
}

/** @returns what it saw last: bounded, it may give up */
function looker(words, context) {
  begin(context);
  return spinWhileEqual(words, WORD, 0);
}

const zeroed = () => sharedWords(DATA + 4);

function ended(_, results) {
  for (const data of results.slice(1)) expect(data === 2, 'what was written before is not seen');
}

export const exploration = {
  subject: 'cpu_relax',
  asserts: 'spinUntil ends with its predicate true; no notified change is slept over',
  plants,
  variants: {
    two: {
      says: 'three changes, one waiter',
      setup: zeroed,
      threads: [writer, waiter],
      check: ended,
    },
    three: {
      says: 'three changes, two waiters',
      setup: zeroed,
      threads: [writer, waiter, waiter],
      preemptions: 2,
      check: ended,
    },
    bounded: {
      says: 'three changes, a bounded spin',
      setup: zeroed,
      threads: [writer, looker],
      check: (_, results) => expect(results[1] >= 0 && results[1] <= 3, 'a value never written'),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
