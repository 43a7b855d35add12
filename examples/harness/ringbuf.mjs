// SPDX-License-Identifier: GPL-2.0-only
// An npm package, as it is: ringbuf.js under the scheduler. Nothing of it is edited; its calls of
// `Atomics` are the steps.
import { RingBuffer } from 'ringbuf.js';

export function setup() {
  return { memory: RingBuffer.getStorageForCapacity(2, Int32Array) };
}

export function consumer({ memory }) {
  const ring = new RingBuffer(memory, Int32Array);
  const one = new Int32Array(1);
  const taken = [];
  while (taken.length < 4) if (ring.pop(one) === 1) taken.push(one[0]);
  return taken.join();
}

export function producer({ memory }) {
  const ring = new RingBuffer(memory, Int32Array);
  for (const value of [1, 2, 3, 4]) while (ring.push(Int32Array.of(value)) === 0);
}

export function check(_state, [taken]) {
  if (taken !== '1,2,3,4') throw new Error(`took ${taken}`);
}
