// SPDX-License-Identifier: GPL-2.0-only
/** Mutex: exclusion, no waiter lost. */
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
    module: 'atomics_mutex',
    edits: [
      [
        'if (Atomics.compareExchange(words, index, 0, self.id) !== 0) {\n        mutexWait(',
        `if (Atomics.load(words, index) === 0) Atomics.store(words, index, self.id);
         else { mutexWait(`,
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { mutexLock, mutexTryLock, mutexUnlock } = await load('atomics_mutex');

export const exploration = {
  subject: 'atomics_mutex',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: lockVariants(begin, {
    words: 1,
    lock: ({ words }) => mutexLock(words, 0, 0),
    tryLock: ({ words }) => mutexTryLock(words, 0, 0),
    unlock: ({ words }) => mutexUnlock(words, 0, 0),
  }),
};

export const { setup, threads, check, options } = choose(exploration);
