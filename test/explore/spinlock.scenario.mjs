// SPDX-License-Identifier: GPL-2.0-only
/** Spinlock: exclusion, no waiter lost. */
import { lockVariants } from './locks.mjs';
import { openSubject } from './subject.mjs';

const plants = {
  not_contended: {
    says: 'a waiter that was parked takes the lock without saying that others may be parked',
    module: 'lock_word',
    edits: [['const mine = self.id | CONTENDED;', 'const mine = self.id;']],
    variant: 'three',
  },
  torn_take: {
    says: 'the lock is taken by a load and a store',
    module: 'spinlock',
    edits: [
      [
        'if (Atomics.compareExchange(words, index, 0, self.id) !== 0)\n        spinWait',
        `if (Atomics.load(words, index) === 0) Atomics.store(words, index, self.id);
         else spinWait`,
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { spinLock, spinTryLock, spinUnlock } = await load('spinlock');

export const exploration = {
  subject: 'spinlock',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: lockVariants(begin, {
    words: 1,
    lock: ({ words }) => spinLock(words, 0, 0),
    tryLock: ({ words }) => spinTryLock(words, 0, 0),
    unlock: ({ words }) => spinUnlock(words, 0, 0),
  }),
};

export const { setup, threads, check, options } = choose(exploration);
