// SPDX-License-Identifier: GPL-2.0-only
/** Bit lock: exclusion, no waiter lost, other bits left alone. */
import { lockVariants } from './locks.mjs';
import { openSubject, sharedWords } from './subject.mjs';

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
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { bitLock, bitTryLock, bitUnlock } = await load('bit_lock');
const LOCK = 1;
const WAITERS = 2;

export const exploration = {
  subject: 'bit_lock',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: lockVariants(begin, {
    words: 1,
    state: () => ({ table: { seq: sharedWords(1), buckets: 1, waitersMask: WAITERS } }),
    lock: ({ words, table }) => bitLock(words, 0, LOCK, table, 0),
    tryLock: ({ words }) => bitTryLock(words, 0, LOCK, 0),
    unlock: ({ words, table }) => bitUnlock(words, 0, LOCK, table, 0),
  }),
};

export const { setup, threads, check, options } = choose(exploration);
