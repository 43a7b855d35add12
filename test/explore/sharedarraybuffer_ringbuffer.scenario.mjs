// SPDX-License-Identifier: GPL-2.0-only
/** The public ring: both sides attach at once, then elements go round. */
import { expect, openSubject } from './subject.mjs';

const plants = {
  torn_header: {
    says: 'the header is read and then written',
    module: 'sharedarraybuffer_ringbuffer',
    edits: [
      [
        'const known = Atomics.compareExchange(words, 1, 0, capacity);',
        `const known = Atomics.load(words, 1);
         if (known === 0) Atomics.store(words, 1, capacity);`,
      ],
    ],
    variant: 'disagree',
  },
  forgets_wrap: {
    says: 'a batch that wraps copies its second part behind the ring',
    module: 'kfifo',
    edits: [
      [
        'copyWords(from, offset + first, this.#words, this.#data, nr - first);',
        'copyWords(from, offset + first, this.#words, this.#data + at, nr - first);',
      ],
    ],
    variant: 'batch',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { SharedArrayBufferRingBuffer: Ring } = await load('sharedarraybuffer_ringbuffer');

function buffer(capacity) {
  return () => ({ buffer: new SharedArrayBuffer(Ring.sizeBytes(capacity)), capacity });
}

const open = ({ buffer: bytes, capacity }) => new Ring(bytes, 0, capacity);

function producer(count) {
  return function produce(state, context) {
    begin(context);
    const ring = open(state);
    for (let value = 1; value <= count; value++) ring.pushWait(value);
  };
}

function consumer(count) {
  return function consume(state, context) {
    begin(context);
    const ring = open(state);
    for (let value = 1; value <= count; value++) {
      const popped = ring.popWait();
      expect(popped === value, `${popped} came out, not ${value}`);
    }
  };
}

/** Pushes 1 .. 5 in batches of 3, without sleeping. @returns how many went in */
function batches(state, context) {
  begin(context);
  const ring = open(state);
  const values = Int32Array.of(1, 2, 3, 4, 5);
  const first = ring.pushBatch(values, 0, 3);
  return first + ring.pushBatch(values, first, values.length - first);
}

/** Pops twice, up to two each. @returns how many came out */
function takes(state, context) {
  begin(context);
  const ring = open(state);
  const values = new Int32Array(2);
  let next = 1;
  for (let i = 0; i < 2; i++) {
    const popped = ring.popBatch(values);
    for (let at = 0; at < popped; at++) expect(values[at] === next++, 'out of order');
  }
  return next - 1;
}

/** Attaches with a capacity of its own. @returns whether it was let in */
function attacher(capacity) {
  return function attach(state, context) {
    begin(context);
    try {
      return new Ring(state.buffer, 0, capacity).capacity;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return 0;
    }
  };
}

function empty(state) {
  expect(open(state).length === 0, 'elements are left');
}

export const exploration = {
  subject: 'sharedarraybuffer_ringbuffer',
  asserts: 'sides that attach at once agree; each element once, in order, across the wrap',
  plants,
  variants: {
    attach: {
      says: 'both sides attach, 2 elements',
      setup: buffer(2),
      threads: [producer(2), consumer(2)],
      check: empty,
    },
    two: {
      says: 'capacity 2, 3 elements, both sides sleep',
      setup: buffer(2),
      threads: [producer(3), consumer(3)],
      check: empty,
    },
    four: {
      says: 'capacity 4, 5 elements, both sides sleep',
      setup: buffer(4),
      threads: [producer(5), consumer(5)],
      preemptions: 3,
      check: empty,
    },
    batch: {
      says: 'capacity 4, 5 elements in two batches, 4 taken',
      setup: buffer(4),
      threads: [batches, takes],
      check: (state, [pushed, popped]) => {
        const ring = open(state);
        for (let value = popped + 1; value <= pushed; value++) {
          expect(ring.pop() === value, `${value} was lost`);
        }
        expect(ring.pop() === undefined, 'more came out than went in');
      },
    },
    disagree: {
      says: 'two sides attach with different capacities',
      setup: buffer(4),
      threads: [attacher(2), attacher(4)],
      check: (_, results) => expect((results[0] === 0) !== (results[1] === 0), 'both were let in'),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
