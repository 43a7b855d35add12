// SPDX-License-Identifier: GPL-2.0-only
/** Ticket lock: exclusion, no waiter lost. */
import { lockVariants } from './locks.mjs';
import { openSubject } from './subject.mjs';

const plants = {
  no_recheck: {
    says: 'the queue is left without looking whether somebody has drawn a ticket meanwhile',
    module: 'ticket_lock',
    edits: [['if (Atomics.load(words, base + NEXT) === next)\n            return;', 'return;']],
    variant: 'three',
  },
  sleeps_over: {
    says: 'a waiter parks without saying so before it looks for the last time',
    module: 'ticket_lock',
    edits: [
      ['Atomics.add(words, slot + SLOT_PARKED, 1);', ''],
      ['Atomics.sub(words, slot + SLOT_PARKED, 1);', ''],
    ],
    variant: 'three',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { TICKET_LOCK_WORDS, ticketLock, ticketTryLock, ticketUnlock } = await load('ticket_lock');
export const exploration = {
  subject: 'ticket_lock',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: lockVariants(begin, {
    bounds: { again: { preemptions: 3 }, three: { preemptions: 2 } },
    words: TICKET_LOCK_WORDS,
    lock: ({ words }) => ticketLock(words, 0, 0),
    tryLock: ({ words }) => ticketTryLock(words, 0, 0),
    unlock: ({ words }) => ticketUnlock(words, 0, 0),
  }),
};

export const { setup, threads, check, options } = choose(exploration);
