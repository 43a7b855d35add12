// SPDX-License-Identifier: MIT
/**
 * What code under test may say to the checkers of the harness. Outside of a checked run each of
 * these does nothing, so they can stay in a program:
 *
 *   racy(reason, fn)     accesses in `fn` may race: counted under the reason, not reported
 *   poison, unpoison     a range was given back, is handed out again: not to be touched
 *   lockAcquired, lockReleased   a hand-written lock was taken, is about to be given back
 *
 * `// kreclaim-racy: reason` on a line, or on one of its own above it, says the same of one line.
 */
import { callerPlace, shownCallers } from './caller.ts';
import { probe, sharedView } from './probe.ts';
import { SITE_BITS } from './race_list.ts';

/** A typed array or a DataView. */
type View = ArrayBufferView & { readonly length?: number; readonly BYTES_PER_ELEMENT?: number };

/**
 * Runs `fn`; races of the accesses in it are meant, counted and not reported.
 * @param reason what makes them harmless
 * @returns what `fn` returns
 * @throws TypeError without a reason
 */
export function racy<T>(reason: string, fn: () => T): T {
  if (typeof reason !== 'string' || reason === '') {
    throw new TypeError('racy() needs a reason: what makes the race harmless');
  }
  if (probe.names === null) return fn();
  const outer = probe.racy;
  probe.racy = probe.names.reason(reason) << SITE_BITS;
  try {
    return fn();
  } finally {
    probe.racy = outer;
  }
}

/**
 * Marks elements as given back: until `unpoison`, every access to them, with Atomics or without, is
 * a use after free, reported with both places.
 * @param view on shared memory @param start first element, 0 @param end one past the last, all
 * @throws RangeError when 4096 ranges are poisoned
 */
export function poison(view: View, start = 0, end?: number): void {
  forRange(view, start, end, (address, bytes) => {
    probe.detector?.poison(address, bytes, probe.names?.place(callerPlace()) ?? 0);
  });
}

/** Marks elements as handed out again. @param start first, 0 @param end one past the last, all */
export function unpoison(view: View, start = 0, end?: number): void {
  forRange(view, start, end, (address, bytes) => probe.detector?.unpoison(address, bytes));
}

/**
 * Says that this thread has taken a hand-written lock: orders of acquisition that could deadlock
 * are predicted from what is said.
 * @param name of the lock, the same in all threads
 * @param how tried: it could not have blocked; read: others may read too
 */
export function lockAcquired(
  name: string,
  how: { readonly tried?: boolean; readonly read?: boolean } = {},
): void {
  if (!probe.active || probe.detector === null) return;
  const { thread } = probe.detector;
  probe.locks?.acquired(thread, { lock: name, name, site: shownCallers(), ...how });
}

/** Says that this thread is about to give a hand-written lock back. */
export function lockReleased(name: string): void {
  if (probe.active && probe.detector !== null) probe.locks?.released(probe.detector.thread, name);
}

function forRange(
  view: View,
  start: number,
  end: number | undefined,
  mark: (address: number, bytes: number) => void,
): void {
  const known = probe.active ? sharedView(view) : null;
  if (known === null) return;
  const size = view.BYTES_PER_ELEMENT ?? 1;
  const last = end ?? view.byteLength / size;
  if (start < 0 || last * size > view.byteLength || start > last) {
    throw new RangeError(`elements ${start} .. ${last} of a view of ${view.byteLength / size}`);
  }
  mark(known.base + start * size, (last - start) * size);
}
