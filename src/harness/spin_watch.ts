// SPDX-License-Identifier: MIT
/**
 * Finds out that its thread spins: it reads the same words again and again, sees the same values,
 * and changes nothing in between. Such a thread can be taken out of the schedule until one of those
 * words changes, with no edit to its code; an explorer that does not would follow it for ever.
 *
 *   reads since the thread last made progress      is it spinning
 *   a: 1  a: 1  a: 1  a: 1                         after `threshold` re-reads
 *   a: 1  b: 7  a: 1  b: 7 ...                     after `threshold` re-reads of each
 *   a: 1  a: 2                                     no: it saw news, and starts afresh
 *   more than WATCH_MAX words                      no: a walk, not a spin
 *
 * A compare-and-swap that failed, and a store or an exchange that left its word as it was, count as
 * reads. A bounded retry looks the same: the chance policies let spinners look again now and then,
 * and any policy does when nobody else can go on.
 */
import { WATCH_MAX } from './control.ts';

/** Words that the thread watches: read by the scheduler when it declares a spin. */
export class SpinWatch {
  readonly locs = new Int32Array(WATCH_MAX);
  readonly bytes = new Int32Array(WATCH_MAX);
  count = 0;
  readonly #values: (number | bigint)[] = new Array<number>(WATCH_MAX).fill(0);
  /** Step at which each was read last. */
  readonly steps = new Float64Array(WATCH_MAX);
  #repeats = 0;

  /** The thread made progress, or starts. */
  reset(): void {
    this.count = 0;
    this.#repeats = 0;
  }

  /** The thread read a value, in that step, and changed nothing. */
  read(loc: number, value: number | bigint, step: number): void {
    const count = this.count;
    for (let i = 0; i < count; i++) {
      if (this.locs[i] !== loc) continue;
      if (this.#values[i] === value) {
        this.steps[i] = step;
        this.#repeats++;
        return;
      }
      this.#watch(0, loc, value, step);
      return;
    }
    if (count === WATCH_MAX) this.reset();
    else this.#watch(count, loc, value, step);
  }

  /** Puts a word last in the list. */
  #watch(i: number, loc: number, value: number | bigint, step: number): void {
    this.locs[i] = loc;
    this.bytes[i] = typeof value === 'bigint' ? 8 : 4;
    this.#values[i] = value;
    this.steps[i] = step;
    this.count = i + 1;
    this.#repeats = 0;
  }

  /** True when the address is a watched word. */
  watches(loc: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.locs[i] === loc) return true;
    return false;
  }

  /** @param threshold re-reads of each word @returns true when the thread spins */
  spins(threshold: number): boolean {
    return this.count > 0 && this.#repeats >= threshold * this.count;
  }

  /** It was told: it must re-read everything so often again before it is told again. */
  told(): void {
    this.#repeats = 0;
  }
}
