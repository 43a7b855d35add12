// SPDX-License-Identifier: GPL-2.0-only
// A queue between one producer and one consumer, with a bug: `push` publishes the slot before it
// has written it. Real threads nearly never meet the few instructions in between; an exploration
// does at once.
const HEAD = 0;
const TAIL = 1;
const SLOTS = 2;
const CAPACITY = 2;

function push(words, value) {
  const tail = Atomics.load(words, TAIL);
  if (tail - Atomics.load(words, HEAD) === CAPACITY) return false;
  Atomics.store(words, TAIL, tail + 1); // the bug: the next line belongs before this one
  Atomics.store(words, SLOTS + (tail % CAPACITY), value);
  return true;
}

function pop(words) {
  const head = Atomics.load(words, HEAD);
  if (Atomics.load(words, TAIL) === head) return null;
  const value = Atomics.load(words, SLOTS + (head % CAPACITY));
  Atomics.store(words, HEAD, head + 1);
  return value;
}

export function setup() {
  return { words: new Int32Array(new SharedArrayBuffer(4 * (SLOTS + CAPACITY))) };
}

export function producer({ words }) {
  for (const value of [11, 12, 13]) while (!push(words, value));
}

export function consumer({ words }) {
  const taken = [];
  while (taken.length < 3) {
    const value = pop(words);
    if (value !== null) taken.push(value);
  }
  return taken.join();
}

export function check(_state, results) {
  const [taken] = results; // threads are numbered by name: consumer, producer
  if (taken !== '11,12,13') throw new Error(`took ${taken}`);
}
