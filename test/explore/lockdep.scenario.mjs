// SPDX-License-Identifier: GPL-2.0-only
/** Lock-order checking itself: of two threads that lock in opposite orders one is told, always. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedTables } from './subject.mjs';

const plants = {
  no_record_lock: {
    says: 'edges are drawn without the lock of the graph',
    module: 'lockdep',
    edits: [
      ['if (Atomics.compareExchange(table.record, 0, 0, self.id) !== 0)', 'if (false)'],
      [
        'const seen = Atomics.compareExchange(table.record, 0, self.id, 0);\n' +
          '    if (seen !== self.id)',
        'const seen = 0;\n    if (false)',
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { declareSync, enterSync } = await load('sync_domain');
const { spinLock, spinUnlock } = await load('spinlock');
const { lockdepEdges } = await load('lockdep');

const CLASSES = ['unclassed', 'A', 'B', 'C'];
const OPTIONS = { lockClasses: CLASSES, lockStat: false, lockdep: true };
const RUNNING = 2;
const A = 1;
const B = 2;
const C = 3;

function tables() {
  const made = sharedTables((builder) => ({
    sync: declareSync(builder, OPTIONS),
    words: builder.columns('test.words', { words: 'i32' }, 4).words,
  }));
  made.sync.threads.state.fill(RUNNING, 1, 4);
  return made;
}

/** Takes two locks, one inside the other. @returns 1 when it was told of an inversion */
function locker(outer, inner) {
  return function lock({ sync, words }, context) {
    begin(context);
    enterSync(sync, context.id + 1);
    spinLock(words, outer, outer);
    try {
      spinLock(words, inner, inner);
      spinUnlock(words, inner, inner);
    } catch (error) {
      if (error.name !== 'BugError' || !/circular/.test(error.message)) throw error;
      return 1;
    } finally {
      spinUnlock(words, outer, outer);
    }
    expect(elapsedMs() < PROMPT_MS, 'a sleep was ended by its time-out');
    return 0;
  };
}

function told(nr, edges) {
  return ({ sync }, results) => {
    const sum = results.reduce((all, one) => all + one, 0);
    expect(sum === nr, `${sum} threads were told of the inversion`);
    expect(lockdepEdges(sync.lockdep).length === edges, 'an edge is missing, or one too many');
  };
}

export const exploration = {
  subject: 'lockdep, held_locks',
  asserts: 'opposite orders are told to exactly one thread, before they can deadlock',
  plants,
  variants: {
    two: {
      says: 'A in B against B in A',
      setup: tables,
      threads: [locker(A, B), locker(B, A)],
      check: told(1, 1),
    },
    same: {
      says: 'A in B, twice',
      setup: tables,
      threads: [locker(A, B), locker(A, B)],
      check: told(0, 1),
    },
    three: {
      says: 'A in B, B in C, C in A',
      setup: tables,
      threads: [locker(A, B), locker(B, C), locker(C, A)],
      preemptions: 2,
      check: told(1, 2),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
