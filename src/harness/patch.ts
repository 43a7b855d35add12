// SPDX-License-Identifier: MIT
/**
 * Replaces the functions of the global `Atomics`. The code under test calls `Atomics.load(...)` as
 * ever; on a controlled thread, on shared memory, each call is one step of the schedule. Elsewhere
 * the call goes straight to the function that was there.
 *
 * Code that took a function out of `Atomics` before this ran escapes the schedule; a preload runs
 * before any module of a worker, so only code of Node itself does.
 */

import { WAIT_OK } from './control.ts';
import { baseOf } from './locate.ts';
import { memory, type WaitAsyncResult } from './native.ts';
import {
  OP_CAS,
  OP_LOAD,
  OP_NOTIFY,
  OP_RELAX,
  OP_RESUME,
  OP_RMW,
  OP_STORE,
  OP_WAIT,
} from './ops.ts';
import {
  aboutToSpin,
  block,
  boundScheduler,
  leavesLoop,
  logValue,
  point,
  raced,
  read,
  runtime,
  traceValues,
  woke,
  wrote,
} from './runtime.ts';

type View = Int32Array;
type Waitable = Int32Array | BigInt64Array;
type Value = number | bigint;
type Loose = (view: View, index: number, value: Value) => Value;

const load = memory.load as unknown as (view: View, index: number) => Value;
const store = memory.store as unknown as Loose;
const exchange = memory.exchange as unknown as Loose;
const cas = memory.compareExchange as unknown as (
  view: View,
  index: number,
  expected: Value,
  value: Value,
) => Value;

/** @returns the address of an element, -1 when its memory is not shared */
function locate(view: View, index: number): number {
  const base = baseOf(view.buffer);
  return base < 0 ? -1 : base + view.byteOffset + index * view.BYTES_PER_ELEMENT;
}

function low(value: Value): number {
  return typeof value === 'number' ? value | 0 : Number(BigInt.asIntN(32, value));
}

function patchedLoad(view: View, index: number): Value {
  if (!runtime.active) return load(view, index);
  const loc = locate(view, index);
  if (loc < 0) return load(view, index);
  point(OP_LOAD, loc, view.BYTES_PER_ELEMENT);
  const value = load(view, index);
  if (runtime.race !== null) raced(OP_LOAD, loc, view.BYTES_PER_ELEMENT, false);
  read(loc, value);
  logValue(low(value));
  traceValues(value, value);
  return value;
}

function patchedStore(view: View, index: number, value: Value): Value {
  if (!runtime.active) return store(view, index, value);
  const loc = locate(view, index);
  if (loc < 0) return store(view, index, value);
  const bytes = view.BYTES_PER_ELEMENT;
  point(OP_STORE, loc, bytes);
  const before = load(view, index);
  const result = store(view, index, value);
  const after = load(view, index);
  if (runtime.race !== null) raced(OP_STORE, loc, bytes, true);
  logValue(low(after));
  traceValues(before, after);
  if (before === after) read(loc, after);
  else wrote(loc, bytes);
  return result;
}

/**
 * A thread that has looked at the same words again and again, and now changes one, does not spin.
 * @param operate the operation, on an element of the same kind
 */
function mayLeaveLoop(view: View, index: number, operate: (box: View) => void): void {
  const box = new (view.constructor as Int32ArrayConstructor)(1);
  const now = load(view, index);
  (box as unknown as Value[])[0] = now;
  operate(box);
  if (box[0] !== now) leavesLoop();
}

/** Makes the patched form of a read-modify-write function. */
function patchedRmw(native: Loose): Loose {
  return (view, index, value) => {
    if (!runtime.active) return native(view, index, value);
    const loc = locate(view, index);
    if (loc < 0) return native(view, index, value);
    const bytes = view.BYTES_PER_ELEMENT;
    if (aboutToSpin()) mayLeaveLoop(view, index, (box) => native(box, 0, value));
    point(OP_RMW, loc, bytes);
    const before = native(view, index, value);
    const after = load(view, index);
    if (runtime.race !== null) raced(OP_RMW, loc, bytes, true);
    logValue(low(after));
    traceValues(before, after);
    if (before === after) read(loc, after);
    else wrote(loc, bytes);
    return before;
  };
}

/** @returns true when an element that holds `value` is what `expected` stands for */
function holds(view: View, value: Value, expected: Value): boolean {
  const box = new (view.constructor as Int32ArrayConstructor)(1);
  (box as unknown as Value[])[0] = expected;
  return box[0] === value;
}

function patchedCas(view: View, index: number, expected: Value, value: Value): Value {
  if (!runtime.active) return cas(view, index, expected, value);
  const loc = locate(view, index);
  if (loc < 0) return cas(view, index, expected, value);
  const bytes = view.BYTES_PER_ELEMENT;
  if (aboutToSpin()) mayLeaveLoop(view, index, (box) => cas(box, 0, expected, value));
  point(OP_CAS, loc, bytes);
  const before = cas(view, index, expected, value);
  const after = load(view, index);
  if (runtime.race !== null) {
    raced(OP_CAS, loc, bytes, before !== after || holds(view, before, expected));
  }
  logValue(low(before));
  traceValues(before, after);
  if (before === after) read(loc, after);
  else wrote(loc, bytes);
  return before;
}

function patchedWait(view: Waitable, index: number, value: Value, timeout?: number): string {
  const words = view as View;
  if (!runtime.active) return memory.wait(words, index, value as number, timeout);
  const loc = locate(words, index);
  // Of memory that is not shared, or of a wrong kind: the native function says what is wrong.
  if (loc < 0 || !(view instanceof Int32Array || view instanceof BigInt64Array)) {
    return memory.wait(words, index, value as number, 0);
  }
  point(OP_WAIT, loc, view.BYTES_PER_ELEMENT);
  const seen = load(words, index);
  if (runtime.race !== null) raced(OP_WAIT, loc, view.BYTES_PER_ELEMENT, false);
  const wanted =
    view instanceof Int32Array ? Number(value) | 0 : BigInt.asIntN(64, value as bigint);
  traceValues(seen, wanted);
  if (seen !== wanted) {
    read(loc, seen);
    return 'not-equal';
  }
  const ms = timeout === undefined ? Infinity : Number(timeout);
  if (ms <= 0) {
    read(loc, seen);
    return 'timed-out';
  }
  const high = typeof seen === 'bigint' ? Number(BigInt.asIntN(32, seen >> 32n)) : 0;
  const result = block(loc, Number.isNaN(ms) ? Infinity : ms, low(seen), high);
  if (runtime.race !== null) raced(OP_RESUME, loc, view.BYTES_PER_ELEMENT, false);
  return result === WAIT_OK ? 'ok' : 'timed-out';
}

function patchedNotify(view: Waitable, index: number, count?: number): number {
  const words = view as View;
  if (!runtime.active && !runtime.host) return memory.notify(words, index, count);
  const loc = locate(words, index);
  if (loc < 0) return memory.notify(words, index, count);
  const most = count === undefined ? Infinity : Math.max(Math.trunc(Number(count)) || 0, 0);
  if (runtime.host) return boundScheduler().notify(loc, most) + memory.notify(words, index, count);
  point(OP_NOTIFY, loc, view.BYTES_PER_ELEMENT);
  // Wakes nobody: throws what it throws for a wrong view or index.
  memory.notify(words, index, 0);
  if (runtime.race !== null) raced(OP_NOTIFY, loc, view.BYTES_PER_ELEMENT, false);
  const woken = boundScheduler().notify(loc, most);
  if (woken > 0) woke();
  return woken;
}

function patchedWaitAsync(
  view: Waitable,
  index: number,
  value: Value,
  timeout?: number,
): WaitAsyncResult {
  if (!runtime.active && memory.waitAsync !== undefined) {
    return memory.waitAsync(view, index, value, timeout);
  }
  throw new TypeError(
    'Atomics.waitAsync in a controlled thread: thread functions are synchronous, use Atomics.wait',
  );
}

function patchedPause(hint?: number): void {
  if (runtime.active) point(OP_RELAX, -1, 0);
  else memory.pause?.(hint);
}

/** Patches this thread's `Atomics`. @context before the code under test loads */
export function patchAtomics(): void {
  const target = Atomics as unknown as Record<string, unknown>;
  target.load = patchedLoad;
  target.store = patchedStore;
  target.compareExchange = patchedCas;
  target.exchange = patchedRmw(exchange);
  for (const name of ['add', 'and', 'or', 'sub', 'xor'] as const) {
    target[name] = patchedRmw(memory[name] as unknown as Loose);
  }
  target.wait = patchedWait;
  target.notify = patchedNotify;
  target.pause = patchedPause;
  if (memory.waitAsync !== undefined) target.waitAsync = patchedWaitAsync;
}
