// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the zoo's scenarios share. Each file of `bugs/` is one planted bug, as `kreclaim explore`
 * takes it; loaded with `?fixed` behind its name it is the same code put right.
 */

/** @returns whether the scenario was loaded as the right one */
export function isFixed(url) {
  return url.endsWith('?fixed');
}

/** @returns `count` shared words, the first of which are `initial` */
export function words(count, ...initial) {
  const shared = new Int32Array(new SharedArrayBuffer(4 * count));
  shared.set(initial);
  return shared;
}

/** @throws when `condition` does not hold */
export function must(condition, message) {
  if (!condition) throw new Error(message);
}

/** Takes a test-and-set lock; spins. */
export function lock(w, at) {
  while (Atomics.compareExchange(w, at, 0, 1) !== 0) {
    while (Atomics.load(w, at) !== 0);
  }
}

export function tryLock(w, at) {
  return Atomics.compareExchange(w, at, 0, 1) === 0;
}

export function unlock(w, at) {
  Atomics.store(w, at, 0);
}

/** What no two threads may do at once: counts who is inside. */
export function critical(w, inside) {
  must(Atomics.add(w, inside, 1) === 0, 'two threads in the critical section');
  Atomics.sub(w, inside, 1);
}

/** An increment that needs a lock around it. */
export function bump(w, at) {
  Atomics.store(w, at, Atomics.load(w, at) + 1);
}
