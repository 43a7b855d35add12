// SPDX-License-Identifier: GPL-2.0-only
/**
 * ringbuf.js as it is on npm, one producer and one consumer: wrap-around at capacity 2 to 4. One
 * of its slots stays empty, so capacity 2 is a storage of three.
 */
import { RingBuffer } from 'ringbuf.js';
import { expect, openSubject } from './subject.mjs';

/** Twins of the package: a ring with one step wrong. */
const TWINS = {
  early_index(ring) {
    ring.pop = function pop(elements) {
      const rd = Atomics.load(this.read_ptr, 0);
      const wr = Atomics.load(this.write_ptr, 0);
      if (wr === rd) return 0;
      const count = Math.min(this._available_read(rd, wr), elements.length);
      Atomics.store(this.read_ptr, 0, (rd + count) % this._storage_capacity());
      Atomics.load(this.write_ptr, 0); // the slots are the producer's from here on
      for (let i = 0; i < count; i++) {
        elements[i] = this.storage[(rd + i) % this._storage_capacity()];
      }
      return count;
    };
  },
  late_copy(ring) {
    ring.push = function push(elements) {
      const rd = Atomics.load(this.read_ptr, 0);
      const wr = Atomics.load(this.write_ptr, 0);
      const count = Math.min(this._available_write(rd, wr), elements.length);
      Atomics.store(this.write_ptr, 0, (wr + count) % this._storage_capacity());
      Atomics.load(this.read_ptr, 0); // the slots are the consumer's from here on
      for (let i = 0; i < count; i++) {
        this.storage[(wr + i) % this._storage_capacity()] = elements[i];
      }
      return count;
    };
  },
};

const plants = {
  early_index: { says: 'the consumer moves its index before it has copied', twin: true },
  late_copy: { says: 'the producer moves its index before it has copied', twin: true },
};

const { begin, choose, plant } = await openSubject(import.meta.url, plants);

function storage(capacity, at) {
  return () => {
    const buffer = RingBuffer.getStorageForCapacity(capacity, Int32Array);
    new Uint32Array(buffer, 0, 2).fill(at);
    return { buffer };
  };
}

function open({ buffer }) {
  const ring = new RingBuffer(buffer, Int32Array);
  TWINS[plant]?.(ring);
  return ring;
}

/** Pushes 1 .. total in calls of `most`, `calls` calls at most. @returns how many went in */
function producer(calls, most, total) {
  return function produce(state, context) {
    begin(context);
    const ring = open(state);
    let pushed = 0;
    for (let i = 0; i < calls; i++) {
      const values = Int32Array.from({ length: Math.min(most, total - pushed) }, (_, k) => {
        return pushed + k + 1;
      });
      if (values.length > 0) pushed += ring.push(values);
    }
    return pushed;
  };
}

function consumer(calls, most) {
  return function consume(state, context) {
    begin(context);
    const ring = open(state);
    const values = new Int32Array(most);
    let next = 1;
    for (let i = 0; i < calls; i++) {
      const popped = ring.pop(values);
      for (let k = 0; k < popped; k++) {
        expect(values[k] === next, `${values[k]} came out, not ${next}`);
        next++;
      }
    }
    return next - 1;
  };
}

function rest(capacity) {
  return (state, [pushed, popped]) => {
    const ring = new RingBuffer(state.buffer, Int32Array);
    expect(ring.availableRead() === pushed - popped, 'what is left is not in less out');
    expect(ring.availableRead() + ring.availableWrite() === capacity, 'room was lost');
    const values = new Int32Array(capacity);
    const left = ring.pop(values);
    for (let k = 0; k < left; k++) expect(values[k] === popped + k + 1, 'an element was lost');
  };
}

const wrap = (capacity, calls, most, total) => ({
  says: `capacity ${capacity}, from its last slot on: ${calls} calls of up to ${most} each`,
  setup: storage(capacity, capacity),
  threads: [producer(calls, most, total), consumer(calls, most)],
  check: rest(capacity),
});

export const exploration = {
  subject: 'ringbuf.js (npm)',
  asserts: 'each element once, in order, across the wrap; no room is lost',
  include: ['ringbuf.js'],
  plants,
  variants: {
    capacity2: wrap(2, 5, 2, 8),
    capacity3: wrap(3, 5, 2, 8),
    capacity4: wrap(4, 5, 3, 12),
    single: wrap(2, 5, 1, 5),
  },
};

export const { setup, threads, check, options } = choose(exploration);
