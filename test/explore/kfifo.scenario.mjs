// SPDX-License-Identifier: GPL-2.0-only
/** SPSC ring: every element once and in order, through full, empty, wrap-around and sleep. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  blind_publish: {
    says: 'the producer stores its index and never sees that the consumer is parked',
    module: 'kfifo',
    edits: [
      [
        'if ((Atomics.exchange(this.#words, this.#headAt, head) & PARKED) !== 0) {',
        'if ((Atomics.store(this.#words, this.#headAt, head) & PARKED) !== 0) {',
      ],
    ],
    variant: 'wait',
  },
  lost_bit: {
    says: 'a side parks with a store over whatever the word has become',
    module: 'kfifo_word',
    edits: [
      [
        'const seen = Atomics.compareExchange(words, at, value, value | PARKED);',
        'Atomics.store(words, at, value | PARKED); const seen = value;',
      ],
    ],
    variant: 'wait',
  },
  one_too_many: {
    says: 'the producer takes a full ring for one with room',
    module: 'kfifo',
    edits: [
      [
        `this.#tail = reload(this.#words, this.#tailAt, (head - this.#span) | 0);
            if (((head - this.#tail) | 0) >= this.#span)`,
        `this.#tail = reload(this.#words, this.#tailAt, (head - this.#span) | 0);
            if (((head - this.#tail) | 0) > this.#span)`,
      ],
    ],
    variant: 'poll',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { KfifoSpsc } = await load('kfifo');

/** One before the index x 2 passes the largest i32. */
const LAST = 0x3fffffff;
const BOUND_MS = 5;

function ring(capacity, start = 0) {
  return () => {
    const words = sharedWords(KfifoSpsc.words(capacity));
    KfifoSpsc.init(words, 0, start);
    return { words, capacity };
  };
}

const open = ({ words, capacity }) => new KfifoSpsc(words, 0, capacity);

/** Pushes 1 .. count, sleeping while the ring is full. */
function producer(count) {
  return function produce(state, context) {
    begin(context);
    const fifo = open(state);
    for (let value = 1; value <= count; value++) {
      expect(fifo.pushWait(value), 'a wait without a bound timed out');
    }
  };
}

function consumer(count) {
  return function consume(state, context) {
    begin(context);
    const fifo = open(state);
    for (let value = 1; value <= count; value++) {
      const popped = fifo.popWait();
      expect(popped === value, `${popped} came out, not ${value}`);
    }
  };
}

/** Pushes what fits, never sleeping. @returns how many */
function offers(state, context) {
  begin(context);
  const fifo = open(state);
  let pushed = 0;
  for (let i = 0; i < 3; i++) if (fifo.push(pushed + 1)) pushed++;
  // An empty ring of two takes two, whoever else is there.
  expect(pushed >= 2, `push said full with ${pushed} elements in a ring of ${state.capacity}`);
  return pushed;
}

/** Pops what is there, never sleeping. @returns how many */
function polls(state, context) {
  begin(context);
  const fifo = open(state);
  let next = 1;
  for (let i = 0; i < 3; i++) {
    const popped = fifo.pop();
    if (popped === undefined) continue;
    expect(popped === next, `${popped} came out, not ${next}`);
    next++;
  }
  return next - 1;
}

function batchProducer(state, context) {
  begin(context);
  const fifo = open(state);
  const batch = Int32Array.of(1, 2, 3, 4, 5);
  for (let at = 0; at < batch.length; ) {
    const pushed = fifo.pushBatch(batch, at, Math.min(3, batch.length - at));
    at += pushed;
    if (pushed === 0) fifo.waitWritable();
  }
}

function batchConsumer(count, most) {
  return function consumeBatch(state, context) {
    begin(context);
    const fifo = open(state);
    const batch = new Int32Array(most);
    for (let next = 1; next <= count; ) {
      const popped = fifo.popBatch(batch, 0, most);
      for (let i = 0; i < popped; i++) expect(batch[i] === next++, `${batch[i]} out of order`);
      if (popped === 0) fifo.waitReadable();
    }
  };
}

/** Records of two words: both or none. */
function recordProducer(state, context) {
  begin(context);
  const fifo = open(state);
  for (let value = 1; value <= 3; value += 2) {
    while (!fifo.pushAll(Int32Array.of(value, value + 1), 0, 2)) fifo.waitWritable();
  }
}

/** Pushes 1 .. count, each with a bound. @returns how many went in */
function boundedProducer(count) {
  return function produceInTime(state, context) {
    begin(context);
    const fifo = open(state);
    let pushed = 0;
    for (let i = 0; i < count; i++) if (fifo.pushWait(pushed + 1, BOUND_MS)) pushed++;
    return pushed;
  };
}

/** @returns how many came out of `count` pops with a bound */
function boundedConsumer(count) {
  return function consumeInTime(state, context) {
    begin(context);
    const fifo = open(state);
    let popped = 0;
    for (let i = 0; i < count; i++) {
      const value = fifo.popWait(BOUND_MS);
      if (value === undefined) continue;
      popped++;
      expect(value === popped, `${value} came out, not ${popped}`);
    }
    return popped;
  };
}

function empty(state) {
  expect(open(state).length() === 0, 'elements are left');
}

function rest(state, [pushed, popped]) {
  const fifo = open(state);
  expect(fifo.length() === pushed - popped, 'the length is not what went in less what came out');
  for (let value = popped + 1; value <= pushed; value++) {
    expect(fifo.pop() === value, `${value} was lost`);
  }
  expect(fifo.pop() === undefined, 'more came out than went in');
}

export const exploration = {
  subject: 'kfifo',
  asserts: 'each element once, in order; full and empty are true; no wake-up is lost',
  plants,
  variants: {
    wait: {
      says: 'capacity 2, 3 elements, both sides sleep',
      setup: ring(2),
      threads: [producer(3), consumer(3)],
      check: empty,
    },
    wrap: {
      says: 'capacity 2, 3 elements, the indices overflow',
      setup: ring(2, LAST),
      threads: [producer(3), consumer(3)],
      check: empty,
    },
    poll: {
      says: 'capacity 2, 3 pushes and 3 pops that do not sleep',
      setup: ring(2, LAST),
      threads: [offers, polls],
      check: rest,
    },
    timed: {
      says: 'capacity 2, 3 elements, sleeps that may time out at any moment',
      setup: ring(2, LAST),
      threads: [boundedProducer(3), boundedConsumer(2)],
      timeouts: 'any',
      check: rest,
    },
    batch: {
      says: 'capacity 4, 5 elements in batches, wrapping',
      setup: ring(4, LAST),
      threads: [batchProducer, batchConsumer(5, 2)],
      check: empty,
    },
    records: {
      says: 'capacity 2, 2 records of two words',
      setup: ring(2, 1),
      threads: [recordProducer, batchConsumer(4, 1)],
      check: empty,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
