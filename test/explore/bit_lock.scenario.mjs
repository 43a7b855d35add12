// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bit lock: exclusion, no waiter lost, other bits left alone; and a wait for its holder by somebody
 * who holds nothing, not even what the word belongs to.
 */
import { lockVariants } from './locks.mjs';
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedWords } from './subject.mjs';

const plants = {
  waiters_left: {
    says: 'a waiter takes the bit without saying that others may wait',
    module: 'bit_lock',
    edits: [
      [
        'parkOnBit(flags, index, mask, table, cls, mask | table.waitersMask);',
        'parkOnBit(flags, index, mask, table, cls, mask);',
      ],
    ],
  },
  late_sequence: {
    says: 'a waiter reads the sequence number after it has looked at the bit',
    module: 'bit_lock',
    edits: [
      ['const seq = Atomics.load(table.seq, bucket); // PAIRS(bit-lock): read before the or', ''],
      [
        'if (Atomics.wait(table.seq, bucket, seq, PARK_CHECK_MS) ===',
        'if (Atomics.wait(table.seq, bucket, Atomics.load(table.seq, bucket), PARK_CHECK_MS) ===',
      ],
    ],
  },
  held_late_sequence: {
    says: 'who waits for the holder reads the sequence number after it has looked at the word',
    module: 'bit_lock',
    edits: [
      ['const seq = Atomics.load(table.seq, bucket); // PAIRS(bit-lock): read before the word', ''],
      [
        'Atomics.wait(table.seq, bucket, seq, PARK_CHECK_MS);\n                return;',
        'Atomics.wait(table.seq, bucket, Atomics.load(table.seq, bucket), PARK_CHECK_MS); return;',
      ],
    ],
    variant: 'held',
  },
  held_blind: {
    says: 'who waits for the holder writes to the word although the bit is clear by now',
    module: 'bit_lock',
    edits: [
      [
        'waiting || Atomics.compareExchange(flags, index, seen, seen | set) === seen',
        'waiting || Atomics.or(flags, index, set) !== -1',
      ],
    ],
    variant: 'held',
  },
  held_silent: {
    says: 'who waits for the holder does not say so',
    module: 'bit_lock',
    edits: [
      ['waiting || Atomics.compareExchange(flags, index, seen, seen | set) === seen', 'true'],
    ],
    variant: 'held',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { bitLock, bitTryLock, bitUnlock, bitWaitHeld } = await load('bit_lock');
const LOCK = 1;
const WAITERS = 2;

const locks = lockVariants(begin, {
  words: 1,
  state: () => ({ table: { seq: sharedWords(1), buckets: 1, waitersMask: WAITERS } }),
  lock: ({ words, table }) => bitLock(words, 0, LOCK, table, 0),
  tryLock: ({ words }) => bitTryLock(words, 0, LOCK, 0),
  unlock: ({ words, table }) => bitUnlock(words, 0, LOCK, table, 0),
});
const [locker] = locks.two.threads;

/** @returns 0: it is in no section */
function watcher({ words, table }, context) {
  begin(context);
  bitWaitHeld(words, 0, LOCK, table);
  expect(elapsedMs() < PROMPT_MS, 'a wake-up was lost: the wait timed out');
  return 0;
}

export const exploration = {
  subject: 'bit_lock',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: {
    ...locks,
    held: {
      ...locks.two,
      says: 'a thread that locks, one that waits for the holder',
      threads: [locker, watcher],
    },
    held3: {
      ...locks.two,
      says: 'two threads that lock, one that waits for the holder',
      threads: [locker, locker, watcher],
    },
    watchers: {
      ...locks.two,
      says: 'a thread that locks, two that wait for the holder',
      threads: [locker, watcher, watcher],
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
