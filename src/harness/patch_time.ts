// SPDX-License-Identifier: MIT
/**
 * Time and chance of a controlled thread. Clocks show virtual time, which starts at the same moment
 * in every execution; random numbers come from the execution's seed. A thread that is not
 * controlled sees the real ones.
 *
 * Timers have no place in a thread function, which is synchronous: setting one throws.
 */
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';
import { Prng } from '../../shared/prng.ts';
import { real } from './native.ts';
import { clock, runtime, virtualNow } from './runtime.ts';

/** Virtual time starts at this wall-clock time, in ms since 1970. */
export const EPOCH_MS = 1_700_000_000_000;

let chance = new Prng(0);

/** Starts this thread's chance afresh. @param seed of the execution */
export function seedChance(seed: number, thread: number): void {
  chance = new Prng(seed, 1000 + thread);
}

/** @returns a number in [0, 1) from this thread's seed */
export function seededRandom(): number {
  return chance.nextFloat();
}

/** Time is the schedule's. */
function virtual(): boolean {
  return runtime.active || runtime.host;
}

/** Virtual ns; a thread of the schedule takes a step for it. */
function nowNs(): number {
  return runtime.active ? clock() : virtualNow();
}

function nowMs(): number {
  return nowNs() / 1e6;
}

function hrtime(since?: [number, number]): [number, number] {
  if (!virtual()) return real.hrtime(since);
  const ns = nowNs();
  const [s, n] = [Math.floor(ns / 1e9), Math.round(ns % 1e9)];
  if (since === undefined) return [s, n];
  const borrow = n < since[1] ? 1 : 0;
  return [s - since[0] - borrow, n - since[1] + borrow * 1e9];
}

function hrtimeBigint(): bigint {
  return virtual() ? BigInt(Math.round(nowNs())) : real.hrtime.bigint();
}

function dateNow(): number {
  return virtual() ? EPOCH_MS + Math.floor(nowMs()) : real.dateNow();
}

function patchDate(): void {
  real.Date.now = dateNow;
  globalThis.Date = new Proxy(real.Date, {
    construct(target, args: unknown[], newTarget) {
      const given = args.length === 0 && virtual() ? [dateNow()] : args;
      return Reflect.construct(target, given, newTarget) as object;
    },
    apply(target) {
      return virtual() ? new target(dateNow()).toString() : target();
    },
  });
}

function patchPerformance(): void {
  const { timeOrigin } = performance;
  Object.defineProperty(performance, 'now', {
    configurable: true,
    value: () => (virtual() ? nowMs() : real.now()),
  });
  Object.defineProperty(performance, 'timeOrigin', {
    configurable: true,
    get: () => (virtual() ? EPOCH_MS : timeOrigin),
  });
}

function patchChance(): void {
  Math.random = () => (runtime.active ? chance.nextFloat() : real.random());
  const { crypto } = globalThis;
  const getRandomValues = crypto.getRandomValues.bind(crypto);
  crypto.getRandomValues = ((view: Uint8Array<ArrayBuffer>) => {
    if (!runtime.active) return getRandomValues(view);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = chance.nextU32() & 0xff;
    return view;
  }) as typeof crypto.getRandomValues;
}

/** A function that refuses to work on a controlled thread. */
function refused<F extends (...args: never[]) => unknown>(name: string, native: F): F {
  const patched = (...args: never[]): unknown => {
    if (runtime.active) {
      throw new TypeError(`${name} in a controlled thread: thread functions are synchronous`);
    }
    return native(...args);
  };
  return Object.assign(patched, native) as unknown as F;
}

/** Patches this thread's clocks and chance. @context before the code under test loads */
export function patchTime(): void {
  patchDate();
  patchPerformance();
  patchChance();
  process.hrtime = Object.assign(hrtime, { bigint: hrtimeBigint });
  const uptime = process.uptime.bind(process);
  process.uptime = () => (virtual() ? nowMs() / 1e3 : uptime());
  globalThis.setTimeout = refused('setTimeout', real.setTimeout);
  globalThis.setInterval = refused('setInterval', real.setInterval);
  globalThis.setImmediate = refused('setImmediate', real.setImmediate);
  globalThis.queueMicrotask = refused('queueMicrotask', globalThis.queueMicrotask);
  syncBuiltinESMExports();
}
