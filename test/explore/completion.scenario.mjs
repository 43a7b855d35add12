// SPDX-License-Identifier: GPL-2.0-only
/** Completion: as many waits return as were completed, none is lost, data is seen. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  no_notify: {
    says: 'complete wakes nobody',
    module: 'completion',
    edits: [['Atomics.notify(words, index, 1);', '']],
  },
  blind_store: {
    says: 'complete overwrites what a waiter took meanwhile',
    module: 'completion',
    edits: [
      [
        'Atomics.compareExchange(words, index, seen, seen + 1) === seen',
        'Atomics.store(words, index, seen + 1) !== 0',
      ],
    ],
  },
  wakes_one: {
    says: 'completeAll wakes one waiter',
    module: 'completion',
    edits: [['Atomics.notify(words, index);', 'Atomics.notify(words, index, 1);']],
    variant: 'all',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { complete, completeAll, completionTryWait, completionWait } = await load('completion');

const WORD = 0;
const FIRST = 1;
const SECOND = 2;

function completer(words, context) {
  begin(context);
  words[FIRST] = 1;
  complete(words, WORD);
  words[SECOND] = 2;
  complete(words, WORD);
}

function completesAll(words, context) {
  begin(context);
  words[FIRST] = 1;
  completeAll(words, WORD);
}

/** @returns what it found written after its wait */
function waiter(words, context) {
  begin(context);
  completionWait(words, WORD);
  return words[FIRST];
}

function waitsTwice(words, context) {
  begin(context);
  completionWait(words, WORD);
  expect(words[FIRST] === 1, 'the first wait returned before the first completion');
  completionWait(words, WORD);
  return words[SECOND];
}

/** @returns 1 when it took a completion */
function trier(words, context) {
  begin(context);
  return completionTryWait(words, WORD) ? 1 : 0;
}

const zeroed = () => sharedWords(3);

export const exploration = {
  subject: 'completion',
  asserts: 'each complete lets one wait return; no wake-up lost; what was written before is seen',
  plants,
  variants: {
    twice: {
      says: 'two completions, one waiter',
      setup: zeroed,
      threads: [completer, waitsTwice],
      check: (words, results) => {
        expect(words[WORD] === 0 && results[1] === 2, 'completions and waits differ');
      },
    },
    waiters: {
      says: 'two completions, two waiters',
      setup: zeroed,
      threads: [completer, waiter, waiter],
      check: (words, results) => {
        expect(words[WORD] === 0, 'completions and waits differ');
        expect(results[1] === 1 && results[2] === 1, 'a wait returned too early');
      },
    },
    all: {
      says: 'completeAll, two waiters',
      setup: zeroed,
      threads: [completesAll, waiter, waiter],
      check: (_, results) => {
        expect(results[1] === 1 && results[2] === 1, 'a wait returned too early');
      },
    },
    try: {
      says: 'wait and tryWait',
      setup: zeroed,
      threads: [completer, waiter, trier],
      check: (words, results) => {
        expect(words[WORD] === 1 - results[2], `${words[WORD]} completions are left`);
        expect(results[1] === 1, 'a wait returned too early');
      },
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
