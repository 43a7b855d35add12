// SPDX-License-Identifier: MIT
/**
 * The control block: everything the scheduler knows, in shared memory, so that whichever thread
 * holds the baton can decide who goes next without asking anybody.
 *
 *   words    header (H_*), then one row of ROW_WORDS per thread (R_*)
 *   numbers  header (F_*), then one deadline per thread
 *   plan     thread of each step of the next execution, as far as it is laid down
 *   log      LOG_WORDS per step of the execution that runs or ran last
 *   mail     per thread: a failure, a result, a listing, as bytes
 *
 * Protection: all of it is plain memory owned by the holder of the baton, but for R_GATE, R_PARKED,
 * H_REMAIN, H_STOP and H_BEAT, which are Atomics. Passing the baton is a store to the next thread's
 * gate, which that thread loads: what the holder wrote before is seen after.
 *
 *   state of a row   meaning                                         becomes
 *   ABSENT           no such thread                                  READY at the start
 *   READY            its next operation is posted and can execute    any
 *   BLOCKED          in `wait`, or asleep until its deadline         READY by notify or time
 *   SPINNING         loads the same unchanged words again and again  READY by a write to one
 *   DONE             its function has returned or thrown             READY at the next start
 */

export const H_THREADS = 0;
/** Threads that are READY. */
export const H_READY = 1;
/** Threads that are SPINNING. */
export const H_SPINNING = 2;
/** Row that holds the baton. */
export const H_CURRENT = 3;
/** POLICY_*: who goes next where the plan says nothing. */
export const H_POLICY = 4;
/** Steps of `plan` that count. */
export const H_PLAN_LENGTH = 5;
/** 1: a plan that cannot be followed ends the execution; 0: the policy stands in. */
export const H_PLAN_STRICT = 6;
/**
 * Sleep set: bit of each thread that must not be chosen after the plan. It holds for the node at
 * which the last step of the plan is taken, and evolves from that step on.
 */
export const H_SLEEP = 7;
/** sfc32, four words. */
export const H_PRNG = 8;
export const H_HASH = 12;
/** Orders waiters of a word. */
export const H_WAIT_SEQ = 13;
/** OUTCOME_* of the execution. */
export const H_OUTCOME = 14;
/** Row whose doing the outcome is, -1 nobody's. */
export const H_CULPRIT = 15;
/** TIMEOUTS_*. */
export const H_TIMEOUTS = 16;
/** POLICY_RANDOM: the running thread goes on unless a 32-bit number is below this, unsigned. */
export const H_SWITCH_BELOW = 17;
/** Steps that the log can hold; 0 turns it off. */
export const H_LOG_CAPACITY = 18;
/** Unchanged re-reads of every watched word that make a spinner. */
export const H_SPIN_THRESHOLD = 19;
/** Times that all spinners were let go on since memory last changed. */
export const H_IDLE_ROUNDS = 20;
/** Times that time jumped since memory last changed. */
export const H_IDLE_JUMPS = 21;
/** PCT: change points left to come. */
export const H_PCT_NEXT = 22;
export const H_PCT_COUNT = 23;
/** 1: threads keep the site of every step, for a listing. */
export const H_TRACE = 24;
/** Seed of the execution, for the threads' own chance. */
export const H_SEED = 25;
/** Loads of the gate before a thread parks. */
export const H_GATE_SPINS = 26;
/** POLICY_ROUND_ROBIN: steps of one turn. */
export const H_QUANTUM = 27;
/** Steps left of this turn. */
export const H_TURN_LEFT = 28;
/** Bound on H_IDLE_ROUNDS and H_IDLE_JUMPS. */
export const H_IDLE_LIMIT = 29;
/** Switches from a thread that could have gone on. */
export const H_PREEMPTIONS = 30;
/** 1: races are looked for. */
export const H_RACE = 31;
/** @atomic threads that have not ended yet; the last to end gives the baton to the lead. */
export const H_REMAIN = 48;
/** @atomic set from outside: end after this execution. */
export const H_STOP = 49;
/** @atomic sign of life: moves with executions and every few thousand steps. */
export const H_BEAT = 50;
/** @atomic executions so far. */
export const H_EXECUTIONS = 51;
/** @atomic RUNNING_*: what the workers do that the watchdog looks at. */
export const H_RUNNING = 52;
/** @atomic threads of a machine that stand at their gate. */
export const H_JOINED = 53;
export const HEADER_WORDS = 64;

/** Steps executed so far in this execution; index of the next one. */
export const F_STEP = 0;
/** Virtual time in ns. */
export const F_NOW = 1;
/** ns that a step takes. */
export const F_TICK = 2;
export const F_STEPS_MAX = 3;
/** Earliest deadline of a BLOCKED thread, Infinity when there is none. */
export const F_EARLIEST = 4;
/** Context switches of this execution. */
export const F_SWITCHES = 5;
/** Steps of all executions. */
export const F_STEPS_TOTAL = 6;
/** Step at which memory last changed, or a waiter was woken: what follows is idle. */
export const F_PROGRESS = 7;
/** Part of its space that the strategy has seen, of 1; 0 where it does not say. */
export const F_FRACTION = 8;
/** PCT change points, ascending step numbers. */
export const F_PCT_POINTS = 16;
export const PCT_DEPTH_MAX = 32;
export const HEADER_NUMBERS = 64;

export const ROW_WORDS = 64;
/** @atomic GATE_*: written by who passes the baton, cleared by the row's thread. */
export const R_GATE = 0;
/** @atomic 1 while the row's thread sleeps on its gate, or is about to. */
export const R_PARKED = 1;
export const R_STATE = 16;
/** OP_* that the thread will execute when it is chosen. */
export const R_KIND = 17;
/** Byte address of that operation, -1 none. */
export const R_LOC = 18;
export const R_BYTES = 19;
/** Place among the waiters of its word. */
export const R_WAIT_SEQ = 20;
/** WAIT_*: how its wait ended. */
export const R_RESULT = 21;
/** PCT priority; the greatest goes first. */
export const R_PRIORITY = 22;
/** What it waits for the word to differ from: low and high half. */
export const R_EXPECTED = 23;
export const R_EXPECTED_HIGH = 24;
/** Words that a spinner watches. */
export const R_WATCHED = 25;
export const R_WATCH = 32;
/** Their widths. */
export const R_WATCH_BYTES = 40;
export const WATCH_MAX = 8;
/** Kind of its result in the mail: MAIL_*. */
export const R_MAIL_KIND = 26;
export const R_MAIL_BYTES = 27;
/** Steps of this thread. */
export const R_STEPS = 28;
/** What its next operation comes to, while it is in the sleep set: it was executed there before. */
export const R_SLEEP_KIND = 29;

export const STATE_ABSENT = 0;
export const STATE_READY = 1;
export const STATE_BLOCKED = 2;
export const STATE_SPINNING = 3;
export const STATE_DONE = 4;

export const GATE_CLOSED = 0;
/** The baton. */
export const GATE_RUN = 1;
/** The execution is over: unwind. */
export const GATE_ABORT = 2;
/** All threads have ended: the lead goes on. */
export const GATE_LEAD = 3;
/** No more executions. */
export const GATE_QUIT = 4;

export const WAIT_OK = 0;
export const WAIT_TIMED_OUT = 1;

/** Each enabled thread with the same chance, or the running one by H_SWITCH_BELOW. */
export const POLICY_RANDOM = 1;
/** The enabled thread of the highest priority; priorities drop at change points. */
export const POLICY_PCT = 2;
/** Each enabled thread in turn. */
export const POLICY_ROUND_ROBIN = 3;
/** The running thread while it is enabled, then the lowest row. */
export const POLICY_STAY = 4;

/** Waits time out when nothing else can happen, or when virtual time has come. */
export const TIMEOUTS_IDLE = 0;
/** A wait with a time-out may time out at any step: one more choice. */
export const TIMEOUTS_ANY = 1;

export const OUTCOME_NONE = 0;
export const OUTCOME_DONE = 1;
/** A thread threw. */
export const OUTCOME_THREW = 2;
/** Nobody can go on, and no time-out is pending. */
export const OUTCOME_DEADLOCK = 3;
/** Threads spin, or time out, and nothing changes. */
export const OUTCOME_LIVELOCK = 4;
/** More than F_STEPS_MAX steps. */
export const OUTCOME_STEPS = 5;
/** `invariant` threw. */
export const OUTCOME_INVARIANT = 6;
/** `check` threw. */
export const OUTCOME_CHECK = 7;
/** The plan asked for a thread that could not run. */
export const OUTCOME_DIVERGED = 8;
/** Every enabled thread is in the sleep set: equivalent executions were seen. */
export const OUTCOME_REDUNDANT = 9;
/** Two plain accesses raced. */
export const OUTCOME_RACE = 10;
/** Memory that was given back was touched. */
export const OUTCOME_POISON = 11;

export const LOG_WORDS = 5;
/** thread | kind << 8 | bytes << 16 */
export const LOG_WHAT = 0;
/** Byte address, -1 none. */
export const LOG_LOC = 1;
/** Threads that could have been chosen, as bits; 31 and above are not in it. */
export const LOG_ENABLED = 2;
/** notify: threads woken, as bits. wait: 1 when it blocked. Others: low half of the value. */
export const LOG_AUX = 3;
/** POLICY_STAY: sleep set at the node, as bits 0 .. 28, and the LOG_* below. */
export const LOG_SLEEP = 4;
/** After this step its thread was found to spin. */
export const LOG_SPINS = 1 << 29;
/** Nobody was READY before this step: spinners were let look again, or time jumped. */
export const LOG_IDLE = 1 << 30;
/** The operation changed memory. */
export const LOG_CHANGED = 1 << 31;

export const MAIL_NONE = 0;
/** The result is a number: in `results`. */
export const MAIL_NUMBER = 1;
/** v8.serialize. */
export const MAIL_BYTES = 2;

/** Threads of one execution, at most. */
export const ROWS_MAX = 64;
/** Bytes of each thread's mail box. */
export const MAIL_SIZE = 1 << 20;

/** H_RUNNING: the lead plans, or there is nothing to do. */
export const RUNNING_NO = 0;
/** Threads run. */
export const RUNNING_THREADS = 1;
/** `check` runs. */
export const RUNNING_CHECK = 2;

type I32Shared = Int32Array<SharedArrayBuffer>;

/** What travels to the threads. */
export interface ControlBuffers {
  readonly words: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
  readonly plan: SharedArrayBuffer;
  readonly log: SharedArrayBuffer;
  readonly mail: SharedArrayBuffer;
}

export interface ControlOptions {
  /** 1 .. ROWS_MAX */
  readonly threads: number;
  /** Steps that a plan can lay down. */
  readonly planCapacity?: number;
  /** Steps that the log keeps. */
  readonly logCapacity?: number;
}

/** A view of one control block. */
export class Control {
  readonly buffers: ControlBuffers;
  readonly words: I32Shared;
  readonly numbers: Float64Array<SharedArrayBuffer>;
  readonly plan: Uint8Array<SharedArrayBuffer>;
  readonly log: I32Shared;
  readonly mail: Uint8Array<SharedArrayBuffer>;
  readonly threads: number;

  constructor(buffers: ControlBuffers) {
    this.buffers = buffers;
    this.words = new Int32Array(buffers.words);
    this.numbers = new Float64Array(buffers.numbers);
    this.plan = new Uint8Array(buffers.plan);
    this.log = new Int32Array(buffers.log);
    this.mail = new Uint8Array(buffers.mail);
    this.threads = this.words[H_THREADS] as number;
  }

  /** Makes a block for so many threads; policy STAY, no plan, time-outs when idle. */
  static create(options: ControlOptions): Control {
    const { threads, planCapacity = 1 << 17, logCapacity = 1 << 17 } = options;
    const bytes = (n: number): SharedArrayBuffer => new SharedArrayBuffer(n);
    const words = new Int32Array(bytes((HEADER_WORDS + threads * ROW_WORDS) * 4));
    const numbers = new Float64Array(bytes((HEADER_NUMBERS + 2 * threads) * 8));
    words[H_THREADS] = threads;
    words[H_POLICY] = POLICY_STAY;
    words[H_LOG_CAPACITY] = logCapacity;
    words[H_SPIN_THRESHOLD] = 4;
    words[H_IDLE_LIMIT] = 256;
    words[H_QUANTUM] = 1;
    words[H_SWITCH_BELOW] = -1;
    words[H_GATE_SPINS] = 3000;
    numbers[F_TICK] = 100;
    numbers[F_STEPS_MAX] = 100_000;
    return new Control({
      words: words.buffer,
      numbers: numbers.buffer,
      plan: bytes(planCapacity),
      log: bytes(logCapacity * LOG_WORDS * 4),
      mail: bytes(threads * MAIL_SIZE),
    });
  }

  /** Index in `words` of a thread's row. */
  row(thread: number): number {
    return HEADER_WORDS + thread * ROW_WORDS;
  }

  /** Index in `numbers` of a thread's deadline, in ns of virtual time. */
  deadline(thread: number): number {
    return HEADER_NUMBERS + thread;
  }

  /** Index in `numbers` of a thread's result, when it is a number. */
  result(thread: number): number {
    return HEADER_NUMBERS + this.threads + thread;
  }

  /** Steps of the last execution that the log has: the first ones. */
  get logged(): number {
    return Math.min(this.numbers[F_STEP] as number, this.words[H_LOG_CAPACITY] as number);
  }
}
