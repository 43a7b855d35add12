// SPDX-License-Identifier: GPL-2.0-only
/** Two threads that do nothing but operations: what `bench harness` times. */

interface Words {
  readonly words: Int32Array<SharedArrayBuffer>;
}

const LOADS = 50_000;

/** Each thread's word is on a cache line of its own. */
export function setup(): Words {
  return { words: new Int32Array(new SharedArrayBuffer(256)) };
}

function count(words: Int32Array<SharedArrayBuffer>, index: number): void {
  for (let i = 0; i < LOADS; i++) Atomics.store(words, index, i);
}

/** Thread 0. */
export function first({ words }: Words): void {
  count(words, 0);
}

/** Thread 1. */
export function second({ words }: Words): void {
  count(words, 32);
}
