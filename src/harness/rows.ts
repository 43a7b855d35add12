// SPDX-License-Identifier: MIT
/**
 * The threads of a schedule, and what an executed operation does to them: who is ready, who waits
 * on which word until when, who spins on what.
 *
 *   post     a thread says what it will do next
 *   block, spin, finish    it is out
 *   changed, notify, time  others come back
 *
 * Each is called by the thread that holds the baton, on the control block alone.
 */
import {
  type Control,
  F_EARLIEST,
  F_NOW,
  F_PROGRESS,
  F_STEP,
  F_SWITCHES,
  H_CULPRIT,
  H_CURRENT,
  H_HASH,
  H_IDLE_JUMPS,
  H_IDLE_ROUNDS,
  H_LOG_CAPACITY,
  H_OUTCOME,
  H_PREEMPTIONS,
  H_READY,
  H_REMAIN,
  H_SPINNING,
  H_TIMEOUTS,
  H_TURN_LEFT,
  H_WAIT_SEQ,
  HEADER_NUMBERS,
  HEADER_WORDS,
  LOG_AUX,
  LOG_CHANGED,
  LOG_LOC,
  LOG_SLEEP,
  LOG_SPINS,
  LOG_WHAT,
  LOG_WORDS,
  OUTCOME_NONE,
  R_BYTES,
  R_EXPECTED,
  R_EXPECTED_HIGH,
  R_KIND,
  R_LOC,
  R_RESULT,
  R_STATE,
  R_STEPS,
  R_WAIT_SEQ,
  R_WATCH,
  R_WATCH_BYTES,
  R_WATCHED,
  ROW_WORDS,
  STATE_BLOCKED,
  STATE_DONE,
  STATE_READY,
  STATE_SPINNING,
  TIMEOUTS_ANY,
  WAIT_OK,
  WAIT_TIMED_OUT,
  WATCH_MAX,
} from './control.ts';
import { memory } from './native.ts';
import { OP_RESUME, OP_START } from './ops.ts';

/** The rows of one control block. @context whoever holds the baton */
export class Rows {
  readonly control: Control;
  protected readonly w: Int32Array<SharedArrayBuffer>;
  protected readonly n: Float64Array<SharedArrayBuffer>;
  protected readonly log: Int32Array<SharedArrayBuffer>;
  protected readonly threads: number;

  constructor(control: Control) {
    this.control = control;
    this.w = control.words;
    this.n = control.numbers;
    this.log = control.log;
    this.threads = control.threads;
  }

  /** Back to the start: every thread READY to begin. Plan and policy are left as they are. */
  begin(): void {
    const w = this.w;
    const n = this.n;
    for (let t = 0; t < this.threads; t++) {
      const row = HEADER_WORDS + t * ROW_WORDS;
      w[row + R_STATE] = STATE_READY;
      w[row + R_KIND] = OP_START;
      w[row + R_LOC] = -1;
      w[row + R_BYTES] = 0;
      w[row + R_STEPS] = 0;
      n[HEADER_NUMBERS + t] = Infinity;
    }
    w[H_READY] = this.threads;
    w[H_SPINNING] = 0;
    w[H_CURRENT] = -1;
    w[H_HASH] = 0x811c9dc5 | 0;
    w[H_WAIT_SEQ] = 0;
    w[H_OUTCOME] = OUTCOME_NONE;
    w[H_CULPRIT] = -1;
    w[H_IDLE_ROUNDS] = 0;
    w[H_IDLE_JUMPS] = 0;
    w[H_TURN_LEFT] = 0;
    w[H_PREEMPTIONS] = 0;
    n[F_STEP] = 0;
    n[F_NOW] = 0;
    n[F_SWITCHES] = 0;
    n[F_PROGRESS] = 0;
    n[F_EARLIEST] = Infinity;
    memory.store(w, H_REMAIN, this.threads);
  }

  /** A thread says what it will do next. @context it holds the baton; `pick` follows */
  post(thread: number, kind: number, loc: number, bytes: number): void {
    const w = this.w;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    w[row + R_KIND] = kind;
    w[row + R_LOC] = loc;
    w[row + R_BYTES] = bytes;
  }

  /** The thread waits, for a notify of `loc` or for its deadline in ns of virtual time. */
  block(thread: number, loc: number, deadline: number, low: number, high: number): void {
    const w = this.w;
    const n = this.n;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    w[row + R_STATE] = STATE_BLOCKED;
    w[row + R_KIND] = OP_RESUME;
    w[row + R_LOC] = loc;
    w[row + R_EXPECTED] = low;
    w[row + R_EXPECTED_HIGH] = high;
    w[row + R_WAIT_SEQ] = (w[H_WAIT_SEQ] as number) + 1;
    w[H_WAIT_SEQ] = (w[H_WAIT_SEQ] as number) + 1;
    w[H_READY] = (w[H_READY] as number) - 1;
    n[HEADER_NUMBERS + thread] = deadline;
    if (deadline < (n[F_EARLIEST] as number)) n[F_EARLIEST] = deadline;
  }

  /**
   * The thread spins on these words, or on it knows not what: it is out until one changes. If one
   * has changed since it was read, the thread stays: it would sleep over what it waits for.
   * @param steps at which each was read last; the first alone counts when there are no words
   * @returns false when a word has changed
   */
  spin(
    thread: number,
    locs: ArrayLike<number>,
    bytes: ArrayLike<number>,
    steps: ArrayLike<number>,
    count: number,
  ): boolean {
    const w = this.w;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    const watched = Math.min(count, WATCH_MAX);
    for (let i = 0; i < watched; i++) {
      w[row + R_WATCH + i] = locs[i] as number;
      w[row + R_WATCH_BYTES + i] = bytes[i] as number;
    }
    w[row + R_WATCHED] = watched;
    if (this.#changedSince(row, steps)) return false;
    this.#flag(LOG_SPINS);
    w[row + R_STATE] = STATE_SPINNING;
    w[H_READY] = (w[H_READY] as number) - 1;
    w[H_SPINNING] = (w[H_SPINNING] as number) + 1;
    return true;
  }

  /** An operation changed memory: those who spin on it may go on. */
  changed(loc: number, bytes: number): void {
    const w = this.w;
    this.#progress();
    this.#flag(LOG_CHANGED);
    if (w[H_SPINNING] === 0) return;
    for (let t = 0; t < this.threads; t++) {
      const row = HEADER_WORDS + t * ROW_WORDS;
      if (w[row + R_STATE] !== STATE_SPINNING) continue;
      const count = w[row + R_WATCHED] as number;
      if (count === 0 || this.#watches(row, loc, bytes)) this.release(t);
    }
  }

  /** True when the row's thread watches a word that the access touches. */
  #watches(row: number, loc: number, bytes: number): boolean {
    const w = this.w;
    const count = w[row + R_WATCHED] as number;
    for (let i = 0; i < count; i++) {
      const watched = w[row + R_WATCH + i] as number;
      const width = w[row + R_WATCH_BYTES + i] as number;
      if (watched < loc + bytes && loc < watched + width) return true;
    }
    return false;
  }

  /** True when a watched word, or any when none is named, changed after it was read. */
  #changedSince(row: number, steps: ArrayLike<number>): boolean {
    const w = this.w;
    const log = this.log;
    const end = Math.min(this.n[F_STEP] as number, w[H_LOG_CAPACITY] as number);
    const count = w[row + R_WATCHED] as number;
    for (let i = 0; i < Math.max(count, 1); i++) {
      const loc = w[row + R_WATCH + i] as number;
      const above = loc + (w[row + R_WATCH_BYTES + i] as number);
      for (let step = (steps[i] as number) + 1; step < end; step++) {
        const at = step * LOG_WORDS;
        if (((log[at + LOG_SLEEP] as number) & LOG_CHANGED) === 0) continue;
        const theirs = log[at + LOG_LOC] as number;
        const bytes = (log[at + LOG_WHAT] as number) >>> 16;
        if (count === 0 || (loc < theirs + bytes && theirs < above)) return true;
      }
    }
    return false;
  }

  /** Something outside the schedule changed memory: every spinner may go on. */
  changedAll(): void {
    this.#progress();
    this.releaseAll();
  }

  /** Wakes waiters of a location, first come first served. @returns how many were woken */
  notify(loc: number, count: number): number {
    const w = this.w;
    let woken = 0;
    let mask = 0;
    while (woken < count) {
      let first = -1;
      let best = Infinity;
      for (let t = 0; t < this.threads; t++) {
        const row = HEADER_WORDS + t * ROW_WORDS;
        if (w[row + R_STATE] !== STATE_BLOCKED || w[row + R_LOC] !== loc) continue;
        if ((w[row + R_WAIT_SEQ] as number) < best) {
          best = w[row + R_WAIT_SEQ] as number;
          first = t;
        }
      }
      if (first < 0) break;
      this.wake(first, WAIT_OK);
      mask |= 1 << first;
      woken++;
    }
    if (woken > 0) {
      this.aux(mask);
      this.#progress();
    }
    return woken;
  }

  /** The thread's function has ended. */
  finish(thread: number): void {
    const w = this.w;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    const state = w[row + R_STATE];
    if (state === STATE_READY) w[H_READY] = (w[H_READY] as number) - 1;
    else if (state === STATE_SPINNING) w[H_SPINNING] = (w[H_SPINNING] as number) - 1;
    w[row + R_STATE] = STATE_DONE;
  }

  /** Marks the step that was just executed in the log. */
  #flag(bit: number): void {
    const step = (this.n[F_STEP] as number) - 1;
    if (step < 0 || step >= (this.w[H_LOG_CAPACITY] as number)) return;
    const at = step * LOG_WORDS + LOG_SLEEP;
    this.log[at] = (this.log[at] as number) | bit;
  }

  /** Puts a word beside the step that was just executed in the log. */
  aux(value: number): void {
    const step = (this.n[F_STEP] as number) - 1;
    if (step < (this.w[H_LOG_CAPACITY] as number)) this.log[step * LOG_WORDS + LOG_AUX] = value;
  }

  /** How the thread's wait ended: WAIT_*. */
  waitResult(thread: number): number {
    return this.w[HEADER_WORDS + thread * ROW_WORDS + R_RESULT] as number;
  }

  /** The step that was just executed did something that others can see. */
  #progress(): void {
    this.w[H_IDLE_ROUNDS] = 0;
    this.w[H_IDLE_JUMPS] = 0;
    this.n[F_PROGRESS] = (this.n[F_STEP] as number) - 1;
  }

  protected wake(thread: number, result: number): void {
    const w = this.w;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    w[row + R_STATE] = STATE_READY;
    w[row + R_RESULT] = result;
    w[row + R_BYTES] = 4;
    w[H_READY] = (w[H_READY] as number) + 1;
    this.n[HEADER_NUMBERS + thread] = Infinity;
  }

  protected release(thread: number): void {
    const w = this.w;
    w[HEADER_WORDS + thread * ROW_WORDS + R_STATE] = STATE_READY;
    w[H_SPINNING] = (w[H_SPINNING] as number) - 1;
    w[H_READY] = (w[H_READY] as number) + 1;
  }

  protected releaseAll(): void {
    for (let t = 0; t < this.threads; t++) {
      if (this.w[HEADER_WORDS + t * ROW_WORDS + R_STATE] === STATE_SPINNING) this.release(t);
    }
  }

  /** Ends the waits whose time has come. */
  protected fireTimers(): void {
    const n = this.n;
    const now = n[F_NOW] as number;
    let earliest = Infinity;
    for (let t = 0; t < this.threads; t++) {
      if (this.w[HEADER_WORDS + t * ROW_WORDS + R_STATE] !== STATE_BLOCKED) continue;
      const deadline = n[HEADER_NUMBERS + t] as number;
      if (deadline <= now) this.wake(t, WAIT_TIMED_OUT);
      else if (deadline < earliest) earliest = deadline;
    }
    n[F_EARLIEST] = earliest;
  }

  /** May time out by choice. */
  protected mayTimeOut(thread: number): boolean {
    const state = this.w[HEADER_WORDS + thread * ROW_WORDS + R_STATE];
    return state === STATE_BLOCKED && (this.n[HEADER_NUMBERS + thread] as number) !== Infinity;
  }

  protected ready(thread: number): boolean {
    const state = this.w[HEADER_WORDS + thread * ROW_WORDS + R_STATE];
    if (state === STATE_READY) return true;
    return this.w[H_TIMEOUTS] === TIMEOUTS_ANY && this.mayTimeOut(thread);
  }
}
