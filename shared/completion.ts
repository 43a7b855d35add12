// SPDX-License-Identifier: MIT
/**
 * Completion: one thread waits until another says that something is done. One word.
 *
 *   word               wait              complete    completeAll         reinit
 *   0                  sleep             -> 1        -> COMPLETED_ALL    -> 0
 *   n > 0              -> n-1, return    -> n+1      -> COMPLETED_ALL    -> 0
 *   COMPLETED_ALL      return            unchanged   unchanged           -> 0
 *
 * Guarantees: (A) every `complete` lets exactly one wait return; (B) what the completer wrote
 * before it is seen by the waiter after; (C) no wake-up is lost: waiters sleep on the word's own
 * value.
 * Not promised: order among waiters; that a completer which dies is named (a completion has no
 * owner).
 * Progress: complete is lock-free, wait blocks. reinit only when nobody waits.
 */
import { ktimeNs } from './ktime.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { lockTrace, traceMightSleep } from './lock_trace.ts';
import { WAIT_COMPLETION } from './thread.ts';
import type { I32 } from './types.ts';

const COMPLETED_ALL = 0x7fffffff;

/** Lets one waiter, present or future, go on. @context any thread; never parks */
export function complete(words: I32, index: number): void {
  for (;;) {
    const seen = Atomics.load(words, index);
    if (seen === COMPLETED_ALL) return;
    if (Atomics.compareExchange(words, index, seen, seen + 1) === seen) break;
  }
  Atomics.notify(words, index, 1);
}

/** Lets every waiter go on, for ever, until `completionReinit`. @context any thread; never parks */
export function completeAll(words: I32, index: number): void {
  Atomics.store(words, index, COMPLETED_ALL);
  Atomics.notify(words, index);
}

/** Makes it usable again. @context nobody waits or completes meanwhile */
export function completionReinit(words: I32, index: number): void {
  Atomics.store(words, index, 0);
}

/** Takes one completion if there is any. @returns false when there is none @context never parks */
export function completionTryWait(words: I32, index: number): boolean {
  for (;;) {
    const seen = Atomics.load(words, index);
    if (seen === 0) return false;
    if (seen === COMPLETED_ALL) return true;
    if (Atomics.compareExchange(words, index, seen, seen - 1) === seen) return true;
  }
}

/** @returns true when a wait would return at once @context any */
export function completionDone(words: I32, index: number): boolean {
  return Atomics.load(words, index) !== 0;
}

/** Sleeps until completed. @context sleeps: no spinlock held, not inside an RCU reader */
export function completionWait(words: I32, index: number): void {
  completionWaitTimeout(words, index, Infinity);
}

/**
 * Sleeps until completed or until the time runs out.
 * @param timeoutMs at least 0; Infinity for no bound
 * @returns false when the time ran out; no completion was taken then
 * @context sleeps
 */
export function completionWaitTimeout(words: I32, index: number, timeoutMs: number): boolean {
  if (lockTrace.on) traceMightSleep('completion');
  if (completionTryWait(words, index)) return true;
  const deadline = timeoutMs === Infinity ? Infinity : ktimeNs() + timeoutMs * 1e6;
  parkBegin(WAIT_COMPLETION, index);
  try {
    for (;;) {
      const leftMs = deadline === Infinity ? Infinity : (deadline - ktimeNs()) / 1e6;
      if (leftMs <= 0) return completionTryWait(words, index);
      Atomics.wait(words, index, 0, leftMs);
      if (completionTryWait(words, index)) return true;
    }
  } finally {
    parkEnd();
  }
}

/** A handle on a completion word; holds no state of its own. */
export class Completion {
  readonly words: I32;
  readonly index: number;

  constructor(words: I32, index: number) {
    this.words = words;
    this.index = index;
  }

  complete(): void {
    complete(this.words, this.index);
  }

  completeAll(): void {
    completeAll(this.words, this.index);
  }

  reinit(): void {
    completionReinit(this.words, this.index);
  }

  tryWait(): boolean {
    return completionTryWait(this.words, this.index);
  }

  wait(): void {
    completionWait(this.words, this.index);
  }

  waitTimeout(timeoutMs: number): boolean {
    return completionWaitTimeout(this.words, this.index, timeoutMs);
  }

  get done(): boolean {
    return completionDone(this.words, this.index);
  }
}
