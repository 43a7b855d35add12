// SPDX-License-Identifier: MIT
/**
 * Reference count that saturates: a bug in counting leaks the object instead of freeing it while it
 * is in use.
 *
 *   value             inc                 incNotZero   dec              decAndTest        freeze(n)
 *   0                 saturate, throw     false        saturate, throw  saturate, throw   0: true
 *   n in 1..MAX       n+1                 n+1, true    n-1 (n > 1)      n-1, true at 0   n: 0, true
 *   SATURATED zone    stays, no error     stays, true  stays            stays, false      false
 *
 * The zone is every negative value; the word is put back to its middle whenever it is touched, so
 * racing increments and decrements cannot leave it. The touch that enters it throws: an overflow,
 * an increment from 0 (the object may be gone), a decrement below 0. After that the count is
 * sticky.
 *
 * Guarantees: (A) among decrements, exactly one sees the count reach 0; (B) what a thread wrote
 * before its decrement is seen by the one that reaches 0; (C) `refcountFreeze(n)` succeeds only if
 * no reference was taken meanwhile, and then `incNotZero` fails until `refcountUnfreeze`.
 * Progress: inc and dec wait-free, incNotZero and freeze lock-free.
 */
import { bug } from './assert.ts';
import type { I32 } from './types.ts';

/** Largest count. */
export const REFCOUNT_MAX = 0x7fffffff;
/** Where a saturated count rests: half way into the negative numbers. */
export const REFCOUNT_SATURATED = 0xc0000000 | 0;

/** @param count initial references, 0 .. REFCOUNT_MAX @context before the object is shared */
export function refcountSet(words: I32, index: number, count: number): void {
  Atomics.store(words, index, count);
}

/** @returns the count; negative when saturated. A hint unless nobody else can change it */
export function refcountRead(words: I32, index: number): number {
  return Atomics.load(words, index);
}

/** Sticks the count and throws. */
function saturate(words: I32, index: number, what: string): never {
  Atomics.store(words, index, REFCOUNT_SATURATED);
  return bug(`refcount ${index}: ${what}; saturated, its object leaks`);
}

/**
 * Takes a reference to an object to which the caller has one already.
 * @throws BugError at 0 and at REFCOUNT_MAX, and saturates the count
 * @context any; never blocks
 */
export function refcountInc(words: I32, index: number): void {
  refcountAdd(words, index, 1);
}

/** Takes `nr` references, as `refcountInc` does. @param nr 1 .. 2^20 */
export function refcountAdd(words: I32, index: number, nr: number): void {
  const seen = Atomics.add(words, index, nr);
  if (seen > 0 && seen <= REFCOUNT_MAX - nr) return;
  if (seen < 0) Atomics.store(words, index, REFCOUNT_SATURATED);
  else saturate(words, index, seen === 0 ? 'increment from 0 (use after free)' : 'overflow');
}

/**
 * Takes a reference unless the count is 0.
 * @returns false when it is 0: the object is gone, or frozen
 * @context any, typically inside an RCU reader
 */
export function refcountIncNotZero(words: I32, index: number): boolean {
  let seen = Atomics.load(words, index);
  for (;;) {
    if (seen === 0) return false;
    if (seen < 0) return true;
    if (seen === REFCOUNT_MAX) saturate(words, index, 'overflow');
    const was = Atomics.compareExchange(words, index, seen, seen + 1);
    if (was === seen) return true;
    seen = was;
  }
}

/** Drops a reference that cannot be the last. @throws BugError when it was, and saturates */
export function refcountDec(words: I32, index: number): void {
  const seen = Atomics.sub(words, index, 1);
  if (seen > 1) return;
  if (seen < 0) Atomics.store(words, index, REFCOUNT_SATURATED);
  else saturate(words, index, seen === 1 ? 'last reference dropped by dec' : 'decrement of 0');
}

/**
 * Drops a reference.
 * @returns true when it was the last: the caller frees the object
 * @throws BugError when the count was 0, and saturates it
 */
export function refcountDecAndTest(words: I32, index: number): boolean {
  return refcountSubAndTest(words, index, 1);
}

/** Drops `nr` references. @returns true when they were the last @param nr 1 .. 2^20 */
export function refcountSubAndTest(words: I32, index: number, nr: number): boolean {
  const seen = Atomics.sub(words, index, nr);
  if (seen > nr) return false;
  if (seen === nr) return true;
  if (seen < 0) Atomics.store(words, index, REFCOUNT_SATURATED);
  else saturate(words, index, 'dropped more references than there were');
  return false;
}

/**
 * Takes all references at once, if there are exactly `expected` of them: the count becomes 0.
 * @returns false when there were more or fewer; nothing changed
 * @context the caller knows whose the `expected` references are
 */
export function refcountFreeze(words: I32, index: number, expected: number): boolean {
  return Atomics.compareExchange(words, index, expected, 0) === expected;
}

/** Ends a freeze. @param count references from now on @context who froze it, count still 0 */
export function refcountUnfreeze(words: I32, index: number, count: number): void {
  const seen = Atomics.exchange(words, index, count);
  if (seen !== 0) saturate(words, index, 'unfreeze of a count that is not frozen');
}
