// SPDX-License-Identifier: GPL-2.0-only
/** Trace ring: a drain beside the writer hands over whole records in order, and counts the rest. */
import { racy } from '../../dist/src/harness/race/annotations.js';
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  trusts_head: {
    says: 'a record is not looked at again after it was read',
    module: 'trace_ring',
    edits: [
      ['if (Atomics.load(records, at + SEQ_BEGIN) !== seq)\n            return null;', ''],
      ['if (ahead >= entries)\n            return null;', ''],
    ],
  },
  skips_none: {
    says: 'what was overwritten before a drain is not counted',
    module: 'trace_ring',
    edits: [['this.#lost += count;', '']],
    variant: 'wrap',
  },
  early_head: {
    says: 'the head moves before the record is complete',
    module: 'trace_ring',
    edits: [
      [
        'times[slot] = ktimeSharedMs();',
        'Atomics.store(head, thread * LINE_WORDS, seq); times[slot] = ktimeSharedMs();',
      ],
      ['if (Atomics.load(records, at + SEQ_END) !== seq)\n            return null;', ''],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { declareTrace, enterTrace, TraceDrain, traceEvent } = await load('trace_ring');
const { LINE_WORDS } = await load('types');

const WRITER = 1;
/** Records are plain words: nothing may be left out as equivalent. */
const PLAIN = { reduction: false };

function tables(entries) {
  return () => sharedTables((builder) => declareTrace(builder, entries));
}

function writer(events) {
  return function write(trace, context) {
    begin(context);
    enterTrace(trace, WRITER, true);
    for (let n = 1; n <= events; n++) traceEvent(n, n * 10, n * 100);
    return events;
  };
}

/**
 * Takes what there is, checking each record: it is the next that was not lost.
 * @param first records before the drain attached @param before records drained before
 * @returns how many
 */
function drain(ring, first, before) {
  let last = first + before;
  return ring.drain(({ event, args, timeMs }) => {
    expect(event === last + ring.lost + 1, `record ${event} came after ${last}, ${ring.lost} lost`);
    expect(args[0] === event * 10 && args[1] === event * 100, `record ${event} is torn`);
    expect(timeMs > 0, `record ${event} has no time`);
    last++;
  });
}

const headOf = (trace) => Atomics.load(trace.head, WRITER * LINE_WORDS);

/** Attaches, drains so many times, and accounts for every record. */
function drainer(times) {
  return function drains(trace, context) {
    begin(context);
    const ring = new TraceDrain(trace, WRITER);
    if (headOf(trace) >= trace.entries) return; // where it began is not known
    let drained = 0;
    for (let i = 0; i < times; i++) {
      const before = headOf(trace);
      drained += racy('torn records are dropped', () => drain(ring, 0, drained));
      const after = headOf(trace);
      const seen = drained + ring.lost;
      expect(seen >= before && seen <= after, `${seen} of ${before} to ${after} are accounted for`);
      const overwritten = Math.max(0, after - trace.entries + 1);
      expect(ring.lost <= overwritten, `${ring.lost} are lost, ${overwritten} were overwritten`);
    }
  };
}

/** At the end: of a ring of `entries`, the newest entries - 1 are whole. */
function complete(trace, [events]) {
  const ring = new TraceDrain(trace, WRITER);
  const kept = Math.min(events, trace.entries - 1);
  const left = drain(ring, events - kept, 0);
  expect(left === kept, `${left} records are left`);
  expect(ring.lost === 0, 'a record that is still there was lost');
}

export const exploration = {
  subject: 'trace_ring',
  asserts: 'drained records are whole and in order; what was overwritten is counted',
  plants,
  variants: {
    two: {
      says: '2 records kept, 3 written, drained once meanwhile',
      setup: tables(2),
      ...PLAIN,
      threads: [writer(3), drainer(1)],
      check: complete,
    },
    twice: {
      says: '4 records kept, 5 written, drained twice meanwhile',
      setup: tables(4),
      ...PLAIN,
      preemptions: 2,
      threads: [writer(5), drainer(2)],
      check: complete,
    },
    wrap: {
      says: '2 records kept, 5 written, drained once meanwhile',
      setup: tables(2),
      ...PLAIN,
      threads: [writer(5), drainer(1)],
      check: complete,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
