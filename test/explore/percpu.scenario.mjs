// SPDX-License-Identifier: GPL-2.0-only
/** Per-thread counters: folds lose nothing, a read in between is off by the threshold at most. */
import { racy } from '../../dist/src/harness/race/annotations.js';
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  torn_fold: {
    says: 'an add that passes the threshold stores the sum that it read',
    module: 'percpu',
    edits: [
      [
        'Atomics.add(this.#global, index, sum);',
        'Atomics.store(this.#global, index, Atomics.load(this.#global, index) + sum);',
      ],
    ],
  },
  folds_twice: {
    says: 'fold keeps the difference that it has folded',
    module: 'percpu',
    edits: [
      [
        'Atomics.add(this.#global, index, diff);\n            this.#diff[at] = 0;',
        'Atomics.add(this.#global, index, diff);',
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const percpu = await load('percpu');

const THRESHOLD = 1;
const THREADS_AT_MOST = 3;
/** Reads of the differences are plain: nothing may be left out as equivalent. */
const PLAIN = { reduction: false };

function counters() {
  return sharedTables((builder) => ({
    state: percpu.declarePercpuState(builder, 'state', 1),
    events: percpu.declarePercpuEvents(builder, 'events', 1),
  }));
}

/** Up by 3 in steps of 1, which folds once at least; events too. */
function adder(tables, context) {
  begin(context);
  const state = new percpu.PercpuState(tables.state, context.id + 1, THRESHOLD);
  const events = new percpu.PercpuEvents(tables.events, context.id + 1);
  for (let i = 0; i < 3; i++) {
    state.add(0, 1);
    events.inc(0);
  }
  state.fold();
}

/** Up and down: nothing at the end. */
function swinger(tables, context) {
  begin(context);
  const state = new percpu.PercpuState(tables.state, context.id + 1, THRESHOLD);
  state.add(0, 2);
  state.add(0, -2);
  state.fold();
}

/** @returns what it read while others added */
function reader(tables, context) {
  begin(context);
  const read = percpu.percpuStateRead(tables.state, 0);
  const exact = racy('a difference may be late', () => {
    return percpu.percpuStateReadExact(tables.state, 0);
  });
  expect(Math.abs(exact - read) <= 6, 'a read that nothing explains');
  return read;
}

function exactly(up) {
  return (tables, results) => {
    expect(percpu.percpuStateReadExact(tables.state, 0) === up, 'the sum is not exact at the end');
    expect(percpu.percpuStateRead(tables.state, 0) === up, 'a fold left something');
    expect(percpu.percpuEventSum(tables.events, 0) === up, 'an event was lost');
    for (const read of results) {
      if (read === undefined) continue;
      const slack = THREADS_AT_MOST * THRESHOLD;
      expect(read >= -slack && read <= up + slack, `read ${read}, off by more than ${slack}`);
    }
  };
}

export const exploration = {
  subject: 'percpu',
  asserts: 'sums are exact when writers rest; a read in between is off by threads x threshold',
  plants,
  variants: {
    two: {
      says: 'two threads add and fold',
      setup: counters,
      threads: [adder, adder],
      check: exactly(6),
    },
    read: {
      says: 'two threads add, one reads',
      setup: counters,
      ...PLAIN,
      threads: [adder, swinger, reader],
      check: exactly(3),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
