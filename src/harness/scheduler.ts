// SPDX-License-Identifier: MIT
/**
 * Who goes next. Run by the thread that holds the baton, on the control block alone: the same calls
 * on the same block give the same answer in any thread, which is what makes a seed a schedule.
 *
 *   post     a thread says what it will do next (see rows.ts, as for what the operation then does)
 *   pick     a step: chooses among the enabled threads, by plan or policy, and writes the log
 *
 * Time is virtual. It moves by F_TICK a step, and when no thread is READY it jumps to the earliest
 * deadline. Spinners come first then: each gets to look again, and when H_IDLE_LIMIT rounds of that
 * have changed nothing, nothing ever will.
 */
import {
  type Control,
  F_EARLIEST,
  F_NOW,
  F_PCT_POINTS,
  F_STEP,
  F_STEPS_MAX,
  F_STEPS_TOTAL,
  F_SWITCHES,
  F_TICK,
  H_BEAT,
  H_CULPRIT,
  H_CURRENT,
  H_HASH,
  H_IDLE_JUMPS,
  H_IDLE_LIMIT,
  H_IDLE_ROUNDS,
  H_LOG_CAPACITY,
  H_OUTCOME,
  H_PCT_COUNT,
  H_PCT_NEXT,
  H_PLAN_LENGTH,
  H_PLAN_STRICT,
  H_POLICY,
  H_PREEMPTIONS,
  H_PRNG,
  H_QUANTUM,
  H_READY,
  H_SLEEP,
  H_SPINNING,
  H_SWITCH_BELOW,
  H_TIMEOUTS,
  H_TURN_LEFT,
  HEADER_WORDS,
  LOG_AUX,
  LOG_CHANGED,
  LOG_ENABLED,
  LOG_IDLE,
  LOG_LOC,
  LOG_SLEEP,
  LOG_WHAT,
  LOG_WORDS,
  OUTCOME_DEADLOCK,
  OUTCOME_DIVERGED,
  OUTCOME_DONE,
  OUTCOME_LIVELOCK,
  OUTCOME_NONE,
  OUTCOME_REDUNDANT,
  OUTCOME_STEPS,
  POLICY_PCT,
  POLICY_RANDOM,
  POLICY_ROUND_ROBIN,
  POLICY_STAY,
  R_BYTES,
  R_KIND,
  R_LOC,
  R_PRIORITY,
  R_SLEEP_KIND,
  R_STATE,
  R_STEPS,
  ROW_WORDS,
  STATE_BLOCKED,
  STATE_READY,
  STATE_SPINNING,
  TIMEOUTS_ANY,
  WAIT_TIMED_OUT,
} from './control.ts';
import { memory } from './native.ts';
import { dependent, effect, OP_TIMEOUT } from './ops.ts';
import { Rows } from './rows.ts';

/** `pick`: every thread has ended. */
export const PICK_END = -1;
/** `pick`: the execution is over, see H_OUTCOME; threads that have not ended must unwind. */
export const PICK_ABORT = -2;

/** A spinner is let look again unasked once in so many decisions, by the chance policies. */
const SPINNER_CHANCE_MASK = 63;
/** Rounds of spinning that change nothing before time may jump. */
const ROUNDS_BEFORE_JUMP = 3;
/** Of a wider access the log has the beginning. */
const LOG_BYTES_MAX = 0xffff;
/** Steps between two signs of life. */
const BEAT_MASK = 0xfff;

/** The scheduler of one control block. @context whoever holds the baton */
export class Scheduler extends Rows {
  readonly #plan: Uint8Array<SharedArrayBuffer>;
  /** Nobody was READY, and this is the step after it. */
  #idle = false;

  constructor(control: Control) {
    super(control);
    this.#plan = control.plan;
  }

  /**
   * Takes the next step: chooses a thread, and logs the operation it has posted.
   * @returns its row, PICK_END or PICK_ABORT
   */
  pick(): number {
    const w = this.w;
    const n = this.n;
    const step = n[F_STEP] as number;
    if (w[H_OUTCOME] !== OUTCOME_NONE) return PICK_ABORT;
    if (step >= (n[F_STEPS_MAX] as number)) return this.end(OUTCOME_STEPS, w[H_CURRENT] as number);
    n[F_NOW] = (n[F_NOW] as number) + (n[F_TICK] as number);
    if ((n[F_NOW] as number) >= (n[F_EARLIEST] as number)) this.fireTimers();
    if (w[H_SLEEP] !== 0 && step >= (w[H_PLAN_LENGTH] as number)) this.#awaken(step);
    this.#idle = false;
    if (w[H_READY] === 0 && !this.#unblock()) return this.#stuck();
    let thread = -1;
    if (step < (w[H_PLAN_LENGTH] as number)) {
      thread = this.#planned(step);
      if (thread === PICK_ABORT) return PICK_ABORT;
    }
    if (thread < 0) thread = this.#choose(step);
    if (thread === PICK_ABORT) return this.end(OUTCOME_REDUNDANT, -1);
    this.#commit(thread, step);
    return thread;
  }

  /** Ends the execution with an outcome, unless it has one. @returns PICK_ABORT */
  end(outcome: number, culprit: number): number {
    const w = this.w;
    if (w[H_OUTCOME] === OUTCOME_NONE) {
      w[H_OUTCOME] = outcome;
      w[H_CULPRIT] = culprit;
    }
    return PICK_ABORT;
  }

  #next(): number {
    const w = this.w;
    const a = w[H_PRNG] as number;
    const b = w[H_PRNG + 1] as number;
    const c = w[H_PRNG + 2] as number;
    const counter = w[H_PRNG + 3] as number;
    const t = (((a + b) | 0) + counter) | 0;
    w[H_PRNG + 3] = (counter + 1) | 0;
    w[H_PRNG] = b ^ (b >>> 9);
    w[H_PRNG + 1] = (c + (c << 3)) | 0;
    w[H_PRNG + 2] = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  #below(bound: number): number {
    return Math.floor((this.#next() / 4294967296) * bound);
  }

  /** Nobody is READY: spinners look again, or time jumps. @returns false when neither can help */
  #unblock(): boolean {
    const w = this.w;
    const n = this.n;
    const limit = w[H_IDLE_LIMIT] as number;
    // A deadline may have been met by notify meanwhile.
    if ((n[F_EARLIEST] as number) !== Infinity) this.fireTimers();
    if ((w[H_READY] as number) > 0) return true;
    if (w[H_TIMEOUTS] === TIMEOUTS_ANY && this.#timeOutLeft()) return true;
    this.#idle = true;
    const timers = (n[F_EARLIEST] as number) !== Infinity;
    const rounds = timers ? ROUNDS_BEFORE_JUMP : limit;
    if ((w[H_SPINNING] as number) > 0 && (w[H_IDLE_ROUNDS] as number) < rounds) {
      w[H_IDLE_ROUNDS] = (w[H_IDLE_ROUNDS] as number) + 1;
      this.releaseAll();
      return true;
    }
    if (!timers || (w[H_IDLE_JUMPS] as number) >= limit) return false;
    w[H_IDLE_JUMPS] = (w[H_IDLE_JUMPS] as number) + 1;
    w[H_IDLE_ROUNDS] = 0;
    n[F_NOW] = n[F_EARLIEST] as number;
    this.fireTimers();
    return true;
  }

  #stuck(): number {
    const w = this.w;
    let left = 0;
    for (let t = 0; t < this.threads; t++) {
      const state = w[HEADER_WORDS + t * ROW_WORDS + R_STATE];
      if (state === STATE_BLOCKED || state === STATE_SPINNING) left++;
    }
    if (left === 0) {
      w[H_OUTCOME] = OUTCOME_DONE;
      return PICK_END;
    }
    const jumps = w[H_IDLE_JUMPS] as number;
    return this.end(jumps > 0 ? OUTCOME_LIVELOCK : OUTCOME_DEADLOCK, -1);
  }

  /** Some wait may time out by choice; only so often while nothing changes. */
  #timeOutLeft(): boolean {
    const w = this.w;
    let left = false;
    for (let t = 0; t < this.threads; t++) left ||= this.mayTimeOut(t);
    if (!left || (w[H_IDLE_JUMPS] as number) >= (w[H_IDLE_LIMIT] as number)) return false;
    w[H_IDLE_JUMPS] = (w[H_IDLE_JUMPS] as number) + 1;
    return true;
  }

  /** The thread that the plan wants. @returns -1 to let the policy decide, or PICK_ABORT */
  #planned(step: number): number {
    const w = this.w;
    const thread = this.#plan[step] as number;
    if (thread < this.threads) {
      const state = w[HEADER_WORDS + thread * ROW_WORDS + R_STATE];
      if (state === STATE_READY) return thread;
      if (state === STATE_SPINNING) {
        this.release(thread);
        return thread;
      }
      if (w[H_TIMEOUTS] === TIMEOUTS_ANY && this.mayTimeOut(thread)) return thread;
    }
    return w[H_PLAN_STRICT] === 1 ? this.end(OUTCOME_DIVERGED, thread) : -1;
  }

  #choose(step: number): number {
    switch (this.w[H_POLICY]) {
      case POLICY_RANDOM:
        return this.#random();
      case POLICY_PCT:
        return this.#highest(step);
      case POLICY_ROUND_ROBIN:
        return this.#roundRobin();
      default:
        return this.#stay();
    }
  }

  /**
   * Lets one spinner look again by chance: it may not be one, but a bounded retry. It goes next,
   * so that the schedule alone tells a replay of it.
   * @returns its row, -1 for none
   */
  #sometimesRelease(): number {
    const w = this.w;
    if (w[H_SPINNING] === 0 || (this.#next() & SPINNER_CHANCE_MASK) !== 0) return -1;
    let skip = this.#below(w[H_SPINNING] as number);
    for (let t = 0; t < this.threads; t++) {
      if (w[HEADER_WORDS + t * ROW_WORDS + R_STATE] !== STATE_SPINNING) continue;
      if (skip-- > 0) continue;
      this.release(t);
      return t;
    }
    return -1;
  }

  #random(): number {
    const w = this.w;
    const again = this.#sometimesRelease();
    if (again >= 0) return again;
    const current = w[H_CURRENT] as number;
    const below = w[H_SWITCH_BELOW] as number;
    if (below !== -1 && current >= 0 && this.ready(current) && this.#next() >= below >>> 0) {
      return current;
    }
    let count = w[H_READY] as number;
    if (w[H_TIMEOUTS] === TIMEOUTS_ANY) {
      count = 0;
      for (let t = 0; t < this.threads; t++) if (this.ready(t)) count++;
    }
    let skip = count === 1 ? 0 : this.#below(count);
    for (let t = 0; t < this.threads; t++) {
      if (this.ready(t) && skip-- === 0) return t;
    }
    return -1;
  }

  #highest(step: number): number {
    const w = this.w;
    const again = this.#sometimesRelease();
    if (again >= 0) return again;
    const next = w[H_PCT_NEXT] as number;
    const count = w[H_PCT_COUNT] as number;
    const current = w[H_CURRENT] as number;
    if (next < count && step >= (this.n[F_PCT_POINTS + next] as number)) {
      w[H_PCT_NEXT] = next + 1;
      if (current >= 0) w[HEADER_WORDS + current * ROW_WORDS + R_PRIORITY] = count - 1 - next;
    }
    let best = -1;
    let priority = -1;
    for (let t = 0; t < this.threads; t++) {
      const mine = w[HEADER_WORDS + t * ROW_WORDS + R_PRIORITY] as number;
      if (mine > priority && this.ready(t)) {
        best = t;
        priority = mine;
      }
    }
    return best;
  }

  #roundRobin(): number {
    const w = this.w;
    const current = w[H_CURRENT] as number;
    const left = w[H_TURN_LEFT] as number;
    if (left > 0 && current >= 0 && this.ready(current)) {
      w[H_TURN_LEFT] = left - 1;
      return current;
    }
    w[H_TURN_LEFT] = (w[H_QUANTUM] as number) - 1;
    for (let i = 1; i <= this.threads; i++) {
      const thread = (current + i) % this.threads;
      if (this.ready(thread)) return thread;
    }
    return -1;
  }

  /** The running thread, else the lowest, but for the sleep set. */
  #stay(): number {
    const w = this.w;
    const asleep = w[H_SLEEP] as number;
    const current = w[H_CURRENT] as number;
    if (current >= 0 && (asleep & (1 << current)) === 0 && this.ready(current)) return current;
    for (let t = 0; t < this.threads; t++) {
      if (this.ready(t) && (asleep === 0 || (asleep & (1 << t)) === 0)) return t;
    }
    return PICK_ABORT;
  }

  #commit(thread: number, step: number): void {
    const w = this.w;
    const n = this.n;
    const row = HEADER_WORDS + thread * ROW_WORDS;
    const current = w[H_CURRENT] as number;
    if (step < (w[H_LOG_CAPACITY] as number)) this.#record(thread, row, step);
    if (w[row + R_STATE] === STATE_BLOCKED) {
      w[row + R_KIND] = OP_TIMEOUT;
      this.wake(thread, WAIT_TIMED_OUT);
    }
    const kind = w[row + R_KIND] as number;
    const loc = w[row + R_LOC] as number;
    if (current !== thread) {
      n[F_SWITCHES] = (n[F_SWITCHES] as number) + 1;
      if (current >= 0 && this.ready(current)) {
        w[H_PREEMPTIONS] = (w[H_PREEMPTIONS] as number) + 1;
      }
      w[H_CURRENT] = thread;
    }
    const mixed = Math.imul((w[H_HASH] as number) ^ (thread | (kind << 8)), 0x9e3779b1 | 0);
    w[H_HASH] = Math.imul((mixed ^ (mixed >>> 15)) + loc, 0x85ebca6b | 0);
    w[row + R_STEPS] = (w[row + R_STEPS] as number) + 1;
    n[F_STEP] = step + 1;
    n[F_STEPS_TOTAL] = (n[F_STEPS_TOTAL] as number) + 1;
    if ((step & BEAT_MASK) === BEAT_MASK) memory.add(w, H_BEAT, 1);
  }

  #record(thread: number, row: number, step: number): void {
    const w = this.w;
    const log = this.log;
    const at = step * LOG_WORDS;
    const kind = w[row + R_STATE] === STATE_BLOCKED ? OP_TIMEOUT : (w[row + R_KIND] as number);
    const bytes = Math.min(w[row + R_BYTES] as number, LOG_BYTES_MAX);
    log[at + LOG_WHAT] = thread | (kind << 8) | (bytes << 16);
    log[at + LOG_LOC] = w[row + R_LOC] as number;
    log[at + LOG_AUX] = 0;
    log[at + LOG_SLEEP] = (w[H_SLEEP] as number) | (this.#idle ? LOG_IDLE : 0);
    if (w[H_POLICY] !== POLICY_STAY) return;
    let mask = 0;
    const count = Math.min(this.threads, 31);
    for (let t = 0; t < count; t++) if (this.ready(t)) mask |= 1 << t;
    log[at + LOG_ENABLED] = mask;
  }

  /** The step before this one was executed: sleepers whose next operation depends on it wake. */
  #awaken(step: number): void {
    const w = this.w;
    const log = this.log;
    const at = (step - 1) * LOG_WORDS;
    if (step > (w[H_LOG_CAPACITY] as number)) w[H_SLEEP] = 0;
    let asleep = w[H_SLEEP] as number;
    const what = log[at + LOG_WHAT] as number;
    const changed = ((log[at + LOG_SLEEP] as number) & LOG_CHANGED) !== 0;
    const kind = effect((what >> 8) & 0xff, changed, log[at + LOG_AUX] as number);
    const loc = log[at + LOG_LOC] as number;
    for (let t = 0; t < this.threads && t < 31; t++) {
      if ((asleep & (1 << t)) === 0) continue;
      const row = HEADER_WORDS + t * ROW_WORDS;
      const theirs = w[row + R_SLEEP_KIND] as number;
      const where = w[row + R_LOC] as number;
      if (dependent(kind, loc, what >>> 16, theirs, where, w[row + R_BYTES] as number)) {
        asleep &= ~(1 << t);
      }
    }
    w[H_SLEEP] = asleep;
  }
}
