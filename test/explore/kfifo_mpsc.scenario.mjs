// SPDX-License-Identifier: GPL-2.0-only
/** MPSC ring: producers race for slots; each element once, each producer's in order. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  torn_claim: {
    says: 'a producer claims a slot by a load and a store',
    module: 'kfifo_mpsc',
    edits: [
      [
        'const seen = Atomics.compareExchange(words, this.#headAt, head, next);',
        `const seen = Atomics.load(words, this.#headAt);
         if (seen === head) Atomics.store(words, this.#headAt, next);`,
      ],
    ],
    variant: 'claim',
  },
  wakes_nobody: {
    says: 'a slot is published without waking who sleeps on it',
    module: 'kfifo_mpsc',
    edits: [['Atomics.notify(this.#words, slot);', '']],
  },
  sees_a_change: {
    says: 'a producer takes the bit of another that is parked for a slot that was freed',
    module: 'kfifo_mpsc',
    edits: [
      [
        '(spinWhileEqual(this.#words, slot, seen) & ~PARKED) !== seen',
        'spinWhileEqual(this.#words, slot, seen) !== seen',
      ],
    ],
    variant: 'bounded',
  },
  wakes_one: {
    says: 'a slot that is freed wakes one of the producers that sleep on it',
    module: 'kfifo_mpsc',
    edits: [['Atomics.notify(this.#words, slot);', 'Atomics.notify(this.#words, slot, 1);']],
    variant: 'full',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { KfifoMpsc } = await load('kfifo_mpsc');

/** One before the index x 2 passes the largest i32. */
const LAST = 0x3fffffff;
const CAPACITY = 2;

function ring(start, filled = 0) {
  return () => {
    const words = sharedWords(KfifoMpsc.words(CAPACITY));
    KfifoMpsc.init(words, 0, CAPACITY, start);
    const fifo = new KfifoMpsc(words, 0, CAPACITY);
    for (let i = 0; i < filled; i++) fifo.push(100 + i);
    return words;
  };
}

const open = (words) => new KfifoMpsc(words, 0, CAPACITY);

/** Pushes id x 10 + 1 .. count, sleeping while the ring is full. */
function producer(count) {
  return function produce(words, context) {
    begin(context);
    const fifo = open(words);
    for (let serial = 1; serial <= count; serial++) {
      expect(fifo.pushWait(context.id * 10 + serial), 'a wait without a bound timed out');
    }
  };
}

/** @returns whether its one push found room */
function offerer(words, context) {
  begin(context);
  return open(words).push(context.id * 10 + 1);
}

/** @returns whether it found room in a while */
function boundedProducer(words, context) {
  begin(context);
  return open(words).pushWait(context.id * 10 + 1, 5);
}

/** @returns what came out in time of `count` pops */
function boundedConsumer(count) {
  return function consumeInTime(words, context) {
    begin(context);
    const fifo = open(words);
    const out = Array.from({ length: count }, () => fifo.popWait(5));
    return out.filter((element) => element !== undefined);
  };
}

/** @returns what came out */
function consumer(count) {
  return function consume(words, context) {
    begin(context);
    const fifo = open(words);
    return Array.from({ length: count }, () => fifo.popWait());
  };
}

/** Each once, each producer's in order. */
function sorted(out) {
  const last = new Map();
  for (const element of out) {
    const from = Math.floor(element / 10);
    expect(element === (last.get(from) ?? from * 10 - (from === 10 ? 1 : 0)) + 1, `got ${out}`);
    last.set(from, element);
  }
}

/** What was taken, and what is left, is what went in. */
function drained(count) {
  return (words, results) => {
    const out = [...results.at(-1)];
    const fifo = open(words);
    for (let left = fifo.pop(); left !== undefined; left = fifo.pop()) out.push(left);
    sorted(out);
    expect(out.length === count, `${out.length} elements, not ${count}`);
  };
}

export const exploration = {
  subject: 'kfifo_mpsc',
  asserts: "each element once, each producer's in order; full is true; no wake-up is lost",
  plants,
  variants: {
    two: {
      says: 'one producer, capacity 2, 3 elements, both sleep, the indices overflow',
      setup: ring(LAST),
      threads: [producer(3), consumer(3)],
      check: drained(3),
    },
    claim: {
      says: 'two producers that do not sleep, then what they left is taken',
      setup: ring(LAST),
      threads: [offerer, offerer],
      check: (words, results) => {
        expect(results[0] && results[1], 'push said full of a ring with room');
        const fifo = open(words);
        const out = [fifo.pop(), fifo.pop()].sort((a, b) => a - b);
        expect(out[0] === 1 && out[1] === 11, `got ${out}`);
      },
    },
    three: {
      says: 'two producers of one element, a consumer that sleeps',
      setup: ring(LAST),
      threads: [producer(1), producer(1), consumer(2)],
      check: drained(2),
    },
    bounded: {
      says: 'two producers, a full ring, nobody takes: both time out',
      setup: ring(LAST, 2),
      threads: [boundedProducer, boundedProducer],
      check: (_, results) => expect(!results[0] && !results[1], 'room in a full ring'),
    },
    timed: {
      says: 'two producers at a full ring, a consumer, sleeps that may time out at any moment',
      setup: ring(LAST, 2),
      threads: [boundedProducer, boundedProducer, boundedConsumer(1)],
      timeouts: 'any',
      preemptions: 2,
      check: (words, results) => drained(2 + results[0] + results[1])(words, results),
    },
    full: {
      says: 'two producers sleep on a full ring',
      setup: ring(LAST, 2),
      threads: [producer(1), producer(1), consumer(2)],
      preemptions: 2,
      check: drained(4),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
