// SPDX-License-Identifier: GPL-2.0-only
/** MCS lock: exclusion, no waiter lost. */
import { lockVariants } from './locks.mjs';
import { openSubject, sharedWords } from './subject.mjs';

const plants = {
  no_wait_for_link: {
    says: 'the head forgets one who swapped the tail and has not linked itself yet',
    module: 'mcs_lock',
    edits: [['next = awaitLink(words, base, nodes, cls);', 'return;']],
    variant: 'three',
  },
  no_wake: {
    says: 'a thread that is made head is not woken',
    module: 'mcs_lock',
    edits: [['if (asleep || Atomics.load(nodes, its + NODE_PARKED) !== 0)', 'if (next < 0)']],
    variant: 'three',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { MCS_LOCK_WORDS, mcsLock, mcsNodeWords, mcsTryLock, mcsUnlock } = await load('mcs_lock');
export const exploration = {
  subject: 'mcs_lock',
  asserts: 'one thread inside; no wake-up lost; free at the end',
  plants,
  variants: lockVariants(begin, {
    bounds: { again: { preemptions: 3 }, three: { preemptions: 2 } },
    words: MCS_LOCK_WORDS,
    state: () => ({ nodes: sharedWords(mcsNodeWords(4)) }),
    lock: ({ words, nodes }) => mcsLock(words, 0, nodes, 0),
    tryLock: ({ words }) => mcsTryLock(words, 0, 0),
    unlock: ({ words, nodes }) => mcsUnlock(words, 0, nodes, 0),
  }),
};

export const { setup, threads, check, options } = choose(exploration);
