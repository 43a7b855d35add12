// SPDX-License-Identifier: GPL-2.0-only
/** A test of eight operations in two threads: how many executions a second are there? */

interface Words {
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** A flag and a value for each side. */
export function setup(): Words {
  return { words: new Int32Array(new SharedArrayBuffer(64)) };
}

/** Thread 0: four operations. */
export function left({ words }: Words): number {
  Atomics.store(words, 0, 1);
  const seen = Atomics.load(words, 1);
  Atomics.add(words, 2, 1);
  return seen + Atomics.load(words, 2);
}

/** Thread 1: four operations. */
export function right({ words }: Words): number {
  Atomics.store(words, 1, 1);
  const seen = Atomics.load(words, 0);
  Atomics.add(words, 2, 1);
  return seen + Atomics.load(words, 2);
}

/** Both added. */
export function check({ words }: Words): boolean {
  return words[2] === 2;
}
