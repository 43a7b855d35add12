// SPDX-License-Identifier: GPL-2.0-only
/** Lists under the lock that their contract asks for: nodes move between two, none gets lost. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  torn_lock: {
    says: 'the lock is tested and then taken',
    module: 'spinlock',
    edits: [
      [
        'if (Atomics.compareExchange(words, index, 0, self.id) !== 0)\n        spinWait',
        `if (Atomics.load(words, index) !== 0 || Atomics.store(words, index, self.id) < 0)
        spinWait`,
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const list = await load('list');
const { spinLock, spinUnlock } = await load('spinlock');

const NODES = 4;
const HEAD_A = NODES;
const HEAD_B = NODES + 1;
const LOCK = 0;

/** Nodes 0 .. 3 on list A, list B empty. */
function lists() {
  const next = sharedWords(NODES + 2);
  const prev = sharedWords(NODES + 2);
  list.listNodeInit(next, prev, 0, NODES);
  list.listInit(next, prev, HEAD_A);
  list.listInit(next, prev, HEAD_B);
  for (let node = 0; node < NODES; node++) list.listAddTail(next, prev, node, HEAD_A);
  return { next, prev, words: sharedWords(1) };
}

/** A moment within the section at which others could run. */
function pause(words) {
  Atomics.load(words, LOCK);
}

/** Moves nodes, each in a section of its own. */
function mover(from, to, count) {
  return function move({ next, prev, words }, context) {
    begin(context);
    for (let i = 0; i < count; i++) {
      spinLock(words, LOCK, 0);
      const node = list.listFirst(next, from);
      pause(words);
      if (node !== list.LIST_NONE) list.listMoveTail(next, prev, node, to);
      spinUnlock(words, LOCK, 0);
    }
  };
}

function rotator({ next, prev, words }, context) {
  begin(context);
  spinLock(words, LOCK, 0);
  const last = list.listLast(prev, HEAD_A);
  pause(words);
  if (last !== list.LIST_NONE) list.listRotateTo(next, prev, HEAD_A, last);
  list.listSpliceTail(next, prev, HEAD_B, HEAD_A);
  spinUnlock(words, LOCK, 0);
}

function sound({ next, prev }) {
  const onA = list.listCount(next, prev, HEAD_A, NODES);
  const onB = list.listCount(next, prev, HEAD_B, NODES);
  expect(onA + onB === NODES, `${onA} and ${onB} nodes are on the lists`);
  for (let node = 0; node < NODES; node++) {
    expect(list.listOnList(next, node), `node ${node} is on no list`);
  }
}

export const exploration = {
  subject: 'list',
  asserts: 'under its lock: links agree, no node is lost or on two lists',
  plants,
  variants: {
    two: {
      says: 'two threads move nodes against each other',
      setup: lists,
      threads: [mover(HEAD_A, HEAD_B, 2), mover(HEAD_B, HEAD_A, 1)],
      check: sound,
    },
    three: {
      says: 'two move, one rotates and splices',
      setup: lists,
      threads: [mover(HEAD_A, HEAD_B, 1), mover(HEAD_B, HEAD_A, 1), rotator],
      preemptions: 2,
      check: sound,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
