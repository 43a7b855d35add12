// SPDX-License-Identifier: MIT
/**
 * How long somebody has given no sign of life, as a watcher can know it: time in which the watcher
 * itself did not run, since the process was stopped or the machine slept or is overloaded, counts
 * as little more than one of its periods. Whoever is watched did not run then either.
 */

/** Periods that one look can add, at most. */
const PERIODS_MAX = 4;

/** @context one watcher, on a timer */
export class QuietWatch {
  readonly #periodMs: number;
  #sign: number | null = null;
  #lastMs: number;
  #quietMs = 0;

  /** @param periodMs between two looks @param nowMs on a monotonic clock */
  constructor(periodMs: number, nowMs: number) {
    this.#periodMs = periodMs;
    this.#lastMs = nowMs;
  }

  /**
   * Looks.
   * @param sign differs from the last one when there was life; null while nobody need show any
   * @returns ms without a sign of life
   */
  look(sign: number | null, nowMs: number): number {
    const passed = Math.min(nowMs - this.#lastMs, PERIODS_MAX * this.#periodMs);
    this.#lastMs = nowMs;
    if (sign === null || sign !== this.#sign) this.#quietMs = 0;
    else this.#quietMs += passed;
    this.#sign = sign;
    return this.#quietMs;
  }
}
