// SPDX-License-Identifier: MIT
/**
 * The functions that the harness replaces, as they were: taken when this module loads, which is
 * before anything is patched. The scheduler itself runs on these.
 *
 * `memory` is for the words of the control block and for operations of the code under test once
 * they have been scheduled; it is the one place of the tree where `Atomics` is held in a variable.
 */
import { performance as perfHooks } from 'node:perf_hooks';
import process from 'node:process';

/** The global `Atomics` before it was patched: a copy, since patching assigns to its properties. */
export const memory = {
  add: Atomics.add,
  and: Atomics.and,
  compareExchange: Atomics.compareExchange,
  exchange: Atomics.exchange,
  isLockFree: Atomics.isLockFree,
  load: Atomics.load,
  notify: Atomics.notify,
  or: Atomics.or,
  store: Atomics.store,
  sub: Atomics.sub,
  wait: Atomics.wait,
  waitAsync: (Atomics as unknown as { waitAsync?: WaitAsync }).waitAsync,
  xor: Atomics.xor,
  pause: (Atomics as unknown as { pause?: (hint?: number) => void }).pause,
};

/** What `Atomics.waitAsync` returns. */
export type WaitAsyncResult =
  | { readonly async: false; readonly value: 'not-equal' | 'timed-out' }
  | { readonly async: true; readonly value: Promise<'ok' | 'timed-out'> };

export type WaitAsync = (
  view: Int32Array | BigInt64Array,
  index: number,
  value: number | bigint,
  timeout?: number,
) => WaitAsyncResult;

/** Clocks and timers before they were patched. */
export const real = {
  now: perfHooks.now.bind(perfHooks) as () => number,
  dateNow: Date.now,
  Date: globalThis.Date,
  hrtime: process.hrtime,
  random: Math.random,
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  setImmediate: globalThis.setImmediate,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
} as const;
