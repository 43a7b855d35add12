// SPDX-License-Identifier: MIT
/**
 * Lock orders of a thread: the locks of `kreclaim/sync` say themselves when they are taken, others
 * by `lockAcquired`. A new edge is left as a note in the table of names, where the lead finds those
 * of all threads.
 */
import { HELD_READ, HELD_TRY } from '../../../shared/held_locks.ts';
import { lockClassName } from '../../../shared/lock_class.ts';
import { listenToLocks } from '../../../shared/lock_trace.ts';
import { baseOf } from '../locate.ts';
import { type LockEdge, type LockInversion, LockOrder } from '../lock_order.ts';
import { shownCallers } from './caller.ts';
import { probe } from './probe.ts';

/** Listens to this thread's locks. @context after `attachRace`, before the thread's first lock */
export function watchLocks(thread: number): void {
  const locks = new LockOrder();
  locks.onEdge = (edge) => probe.names?.note(JSON.stringify(edge));
  probe.locks = locks;
  const keyOf = (words: Int32Array, index: number): string =>
    String(baseOf(words.buffer) + words.byteOffset + index * 4);
  listenToLocks({
    acquired(words, index, cls, bits) {
      if (!probe.active) return;
      const lock = keyOf(words, index);
      const name = cls === 0 ? `the lock at ${lock}` : lockClassName(cls);
      const tried = (bits & HELD_TRY) !== 0;
      const read = (bits & HELD_READ) !== 0;
      locks.acquired(thread, { lock, name, site: shownCallers(), tried, read });
    },
    released(words, index) {
      if (probe.active) locks.released(thread, keyOf(words, index));
    },
  });
}

/** Inversions among the edges of all threads so far. */
export function lockInversions(): LockInversion[] {
  const all = new LockOrder();
  for (const note of probe.names?.notes() ?? []) all.add(JSON.parse(note) as LockEdge);
  return all.inversions();
}
