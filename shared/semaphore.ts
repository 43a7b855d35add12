// SPDX-License-Identifier: MIT
/**
 * Counting semaphore: at most N threads inside. No owner: any thread may `up`.
 *
 *   word COUNT         down            tryDown   up
 *   n > 0              -> n-1          true      -> n+1
 *   0                  park            false     -> 1, wake one if anybody waits
 *
 * Guarantees: (A) downs that returned minus ups never exceed the initial count; (B) no up is lost:
 * a waiter counts itself in WAITERS before it tests COUNT for the last time, `up` adds to COUNT
 * before it reads WAITERS. Not promised: order among waiters; that a dead holder is named (there is
 * no owner; use a mutex for that).
 * Progress: up is wait-free, down blocks after SPIN_LIMIT loads. Fairness: none.
 */
import { assert } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { ktimeNs } from './ktime.ts';
import { SPIN_LIMIT } from './limits.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { lockTrace, traceContended, traceMightSleep, traceTaken } from './lock_trace.ts';
import { WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

/** Words of one semaphore. */
export const SEMAPHORE_WORDS = 2;
/** Largest count; an `up` beyond it throws. */
export const SEMAPHORE_MAX = 0x3fffffff;

const COUNT = 0; // @atomic permits left
const WAITERS = 1; // @atomic threads parked or about to park

/** @param count initial permits, 0 .. SEMAPHORE_MAX @context before any thread uses it */
export function semaphoreInit(words: I32, base: number, count: number): void {
  assert(count >= 0 && count <= SEMAPHORE_MAX, 'semaphore count out of range');
  Atomics.store(words, base + WAITERS, 0);
  Atomics.store(words, base + COUNT, count);
}

/** Takes one permit if there is any. @returns false when there is none @context never parks */
export function semaphoreTryDown(words: I32, base: number): boolean {
  let seen = Atomics.load(words, base + COUNT);
  while (seen > 0) {
    const was = Atomics.compareExchange(words, base + COUNT, seen, seen - 1);
    if (was === seen) return true;
    seen = was;
  }
  return false;
}

/** Takes one permit. @context may park: not under a spinlock, not inside an RCU reader */
export function semaphoreDown(words: I32, base: number, cls: number): void {
  semaphoreDownTimeout(words, base, cls, Infinity);
}

/**
 * Takes one permit, waiting no longer than `timeoutMs`.
 * @returns false when the time ran out; no permit was taken
 * @context may park
 */
export function semaphoreDownTimeout(
  words: I32,
  base: number,
  cls: number,
  timeoutMs: number,
): boolean {
  if (lockTrace.on) traceMightSleep('semaphore');
  if (semaphoreTryDown(words, base)) {
    if (lockTrace.on) traceTaken(cls);
    return true;
  }
  const since = lockTrace.on ? ktimeNs() : 0;
  if (!downSlow(words, base, cls, timeoutMs)) return false;
  if (lockTrace.on) {
    traceContended(cls, 0, since);
    traceTaken(cls);
  }
  return true;
}

function downSlow(words: I32, base: number, cls: number, timeoutMs: number): boolean {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if (semaphoreTryDown(words, base)) return true;
    cpuRelax();
  }
  const deadline = timeoutMs === Infinity ? Infinity : ktimeNs() + timeoutMs * 1e6;
  Atomics.add(words, base + WAITERS, 1); // PAIRS(semaphore): before the last test of COUNT
  parkBegin(WAIT_LOCK, cls);
  try {
    for (;;) {
      if (semaphoreTryDown(words, base)) return true;
      const leftMs = deadline === Infinity ? Infinity : (deadline - ktimeNs()) / 1e6;
      if (leftMs <= 0) return false;
      Atomics.wait(words, base + COUNT, 0, leftMs);
    }
  } finally {
    parkEnd();
    Atomics.sub(words, base + WAITERS, 1);
  }
}

/** Gives one permit back. @throws BugError above SEMAPHORE_MAX @context any thread; never parks */
export function semaphoreUp(words: I32, base: number): void {
  const count = Atomics.add(words, base + COUNT, 1);
  assert(count < SEMAPHORE_MAX, 'semaphore raised beyond SEMAPHORE_MAX');
  // PAIRS(semaphore): COUNT was raised before this load
  if (Atomics.load(words, base + WAITERS) !== 0) Atomics.notify(words, base + COUNT, 1);
}

/** @returns permits left; racy @context any */
export function semaphoreCount(words: I32, base: number): number {
  return Atomics.load(words, base + COUNT);
}

/** A handle on a semaphore; holds no state of its own. */
export class Semaphore {
  readonly words: I32;
  readonly base: number;
  readonly cls: number;

  constructor(words: I32, base: number, cls = 0) {
    this.words = words;
    this.base = base;
    this.cls = cls;
  }

  down(): void {
    semaphoreDown(this.words, this.base, this.cls);
  }

  tryDown(): boolean {
    return semaphoreTryDown(this.words, this.base);
  }

  downTimeout(timeoutMs: number): boolean {
    return semaphoreDownTimeout(this.words, this.base, this.cls, timeoutMs);
  }

  up(): void {
    semaphoreUp(this.words, this.base);
  }

  get count(): number {
    return semaphoreCount(this.words, this.base);
  }
}
