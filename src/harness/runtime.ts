// SPDX-License-Identifier: MIT
/**
 * One thread of a controlled execution: what the patched operations call.
 *
 *   point    before an operation: post it, let the scheduler choose, come back when chosen
 *   read, wrote   after it: what it saw, whether it changed memory
 *   block    a wait that must sleep
 *   runThread     the thread's function from its start to its end, and the baton passed on
 *
 * An execution that fails is unwound: every thread that has not ended gets ExecutionAborted out of
 * the operation it stands at, and whatever it calls on the way out throws the same again. Threads
 * that unwind run side by side; they touch their own mail box and H_REMAIN, nothing else.
 *
 * Module state: a worker is one thread of one control block at a time.
 */
import { serialize } from 'node:v8';
import { openGate, passGate } from './baton.ts';
import {
  type Control,
  F_NOW,
  F_STEP,
  F_TICK,
  GATE_ABORT,
  GATE_LEAD,
  GATE_RUN,
  H_GATE_SPINS,
  H_IDLE_JUMPS,
  H_IDLE_ROUNDS,
  H_REMAIN,
  H_SPIN_THRESHOLD,
  H_TRACE,
  MAIL_BYTES,
  MAIL_NONE,
  MAIL_NUMBER,
  MAIL_SIZE,
  OUTCOME_INVARIANT,
  OUTCOME_THREW,
  R_MAIL_BYTES,
  R_MAIL_KIND,
  R_STATE,
  STATE_DONE,
  WAIT_TIMED_OUT,
} from './control.ts';
import { ScenarioError } from './errors.ts';
import { forgetPrivate } from './locate.ts';
import { memory } from './native.ts';
import { OP_CLOCK, OP_NOTIFY, OP_RELAX, OP_STORE, OP_WAIT } from './ops.ts';
import { PICK_ABORT, Scheduler } from './scheduler.ts';
import { SpinWatch } from './spin_watch.ts';
import { type StepTrace, TraceLog } from './trace_log.ts';

/** Thrown out of the operation at which a thread stands when its execution has ended. */
export class ExecutionAborted extends Error {
  override readonly name = 'ExecutionAborted';
}

/** What a thread leaves in its mail box. */
export interface ThreadMail {
  /** What it returned. */
  readonly result?: unknown;
  /** What it threw, or where it stood when it was unwound. */
  readonly error?: { readonly name: string; readonly message: string; readonly stack: string };
  /** Operations recorded for a history. */
  readonly history?: readonly unknown[];
  /** Its steps, when they are traced. */
  readonly trace?: StepTrace;
}

/** Time that a read of the clock takes at first, in ns; it doubles while nothing else happens. */
const CLOCK_NS = 1000;
const CLOCK_DOUBLINGS = 10;
/** So often more where nobody can go on: whoever spins until a deadline gets there. */
const CLOCK_DOUBLINGS_IDLE = 20;

/** Characters of an error's name, message and stack that are kept, each. */
const ERROR_TEXT_MAX = 1 << 16;

/** Who looks for races: told of whatever orders accesses. See race/race_thread.ts. */
export interface RaceHooks {
  /** The thread's function begins, at this step. */
  enter(step: number): void;
  /** It has ended, or is unwound. */
  leave(): void;
  /** What runs now is not of the thread's function, or is again. */
  pause(on: boolean): void;
  /** A step of this thread begins. */
  step(step: number): void;
  /** Its operation was executed. @param wrote it stored, for a compare-and-swap */
  atomic(kind: number, loc: number, bytes: number, wrote: boolean, step: number): void;
}

/** This thread's state; the patched operations look at `active` alone when it is off. */
export const runtime: {
  active: boolean;
  host: boolean;
  thread: number;
  race: RaceHooks | null;
} = {
  /** Operations of this thread are steps. */
  active: false,
  /** This thread is the host of a machine's schedule. */
  host: false,
  thread: -1,
  /** Null unless races are looked for. */
  race: null,
};

let control: Control;
let scheduler: Scheduler;
let words: Int32Array<SharedArrayBuffer>;
let numbers: Float64Array<SharedArrayBuffer>;
let me = -1;
let gateSpins = 0;
let spinThreshold = 4;
let aborting = false;
let tracing = false;
let site = '';
let trace = new TraceLog();
let clockStreak = 0;
let relaxStreak = 0;
let skew = 0;
const relaxSince = [0];
let invariant: (() => void) | null = null;
/** What was found wrong in this thread, kept from code that swallows errors. */
let broken: ThreadMail['error'];
const spin = new SpinWatch();

/** Binds this worker to a control block as one of its threads. */
export function bindRuntime(block: Control, thread: number): Scheduler {
  control = block;
  scheduler = new Scheduler(block);
  words = block.words;
  numbers = block.numbers;
  me = thread;
  runtime.thread = thread;
  return scheduler;
}

/** The scheduler of the block that this thread is bound to. */
export function boundScheduler(): Scheduler {
  return scheduler;
}

/** Sets what is evaluated, out of the schedule, at every point of this thread; null for nothing. */
export function setInvariant(test: (() => void) | null): void {
  invariant = test;
}

/** Steps executed so far. */
export function stepNow(): number {
  return numbers[F_STEP] as number;
}

/** Virtual time in ns. */
export function virtualNow(): number {
  return numbers[F_NOW] as number;
}

/**
 * A scheduling point: the operation is posted, and executes when this returns.
 * @param loc byte address, -1 none
 * @throws ExecutionAborted when the execution is over
 */
export function point(kind: number, loc: number, bytes: number): void {
  if (aborting) throw new ExecutionAborted('the execution is over');
  if (invariant !== null) checkInvariant();
  if (tracing) site = stackHere();
  scheduler.post(me, kind, loc, bytes);
  if (kind === OP_RELAX) {
    if (relaxStreak++ === 0) relaxSince[0] = stepNow() - 1;
    if (relaxStreak > spinThreshold && spin.count === 0) {
      relaxStreak = 0;
      scheduler.spin(me, spin.locs, spin.bytes, relaxSince, 0);
    }
  }
  if (spin.spins(spinThreshold) && looksAgain(kind, loc)) {
    if (scheduler.spin(me, spin.locs, spin.bytes, spin.steps, spin.count)) spin.told();
    else spin.reset();
  }
  step();
}

/** @returns true for a thread that is taken out before its next look, if it is one */
export function aboutToSpin(): boolean {
  return spin.spins(spinThreshold);
}

/** The operation that comes would change memory: the thread leaves its loop. */
export function leavesLoop(): void {
  spin.reset();
}

/** A spinner's next round, and not the step that leaves the loop. */
function looksAgain(kind: number, loc: number): boolean {
  if (kind === OP_RELAX || kind === OP_CLOCK) return true;
  return kind !== OP_WAIT && kind !== OP_NOTIFY && kind !== OP_STORE && spin.watches(loc);
}

/** Lets the scheduler take a step, and comes back when it is this thread's. */
function step(): void {
  const next = scheduler.pick();
  if (next !== me) {
    if (next < 0) {
      abortOthers();
      unwind();
    }
    openGate(words, next, GATE_RUN);
    if (passGate(words, me, gateSpins) !== GATE_RUN) unwind();
  }
  if (runtime.race !== null) runtime.race.step((numbers[F_STEP] as number) - 1);
  if (tracing) trace.site((numbers[F_STEP] as number) - 1, site);
}

function unwind(): never {
  aborting = true;
  runtime.race?.leave();
  throw new ExecutionAborted('the execution is over');
}

/**
 * Ends the execution: this thread found something wrong.
 * @param outcome OUTCOME_*
 * @throws error
 * @context this thread has the baton
 */
export function failHere(outcome: number, error: unknown): never {
  if (!aborting) {
    scheduler.end(outcome, me);
    broken ??= errorMail(error);
    abortOthers();
    aborting = true;
    runtime.race?.leave();
  }
  throw error;
}

/** The operation was executed: for who looks for races, if anybody does. */
export function raced(kind: number, loc: number, bytes: number, wrote: boolean): void {
  runtime.race?.atomic(kind, loc, bytes, wrote, (numbers[F_STEP] as number) - 1);
}

/** The operation read `value` and changed nothing. */
export function read(loc: number, value: number | bigint): void {
  spin.read(loc, value, (numbers[F_STEP] as number) - 1);
}

/** The operation changed memory. */
export function wrote(loc: number, bytes: number): void {
  spin.reset();
  clockStreak = 0;
  relaxStreak = 0;
  scheduler.changed(loc, bytes);
}

/** The operation took waiters off a queue. */
export function woke(): void {
  spin.reset();
  relaxStreak = 0;
}

/** The value that an operation saw or left, for the log. */
export function logValue(value: number): void {
  scheduler.aux(value);
}

/** For a listing: the value that the operation saw, and left. */
export function traceValues(seen: number | bigint, left: number | bigint): void {
  if (tracing) trace.values((numbers[F_STEP] as number) - 1, seen, left);
}

/**
 * Sleeps until a notify of `loc`, or for a time.
 * @param timeoutMs Infinity for none
 * @returns WAIT_OK or WAIT_TIMED_OUT
 */
export function block(loc: number, timeoutMs: number, low: number, high: number): number {
  spin.reset();
  relaxStreak = 0;
  scheduler.aux(1);
  const deadline = (numbers[F_NOW] as number) + timeoutMs * 1e6;
  const shown = deadline + skew;
  scheduler.block(me, loc, deadline, low, high);
  step();
  const result = scheduler.waitResult(me);
  scheduler.aux(result);
  if (result === WAIT_TIMED_OUT) reach(deadline, shown);
  return result;
}

/** A wait that was chosen to time out has lasted as long as it was told to. */
function reach(deadline: number, shown: number): void {
  const now = numbers[F_NOW] as number;
  if (numbers[F_TICK] === 0) skew = Math.max(skew, shown - now);
  else if (now < deadline) numbers[F_NOW] = deadline;
}

/** Time that a read of the clock takes, in ns. */
function clockNs(): number {
  const idle = (words[H_IDLE_ROUNDS] as number) + (words[H_IDLE_JUMPS] as number);
  const ns = CLOCK_NS * 2 ** (clockStreak + Math.min(idle, CLOCK_DOUBLINGS_IDLE));
  if (clockStreak < CLOCK_DOUBLINGS) clockStreak++;
  return ns;
}

/** A read of the clock: a scheduling point that takes time. @returns virtual ns */
export function clock(): number {
  point(OP_CLOCK, -1, 0);
  if (numbers[F_TICK] === 0) return skewedClock();
  numbers[F_NOW] = (numbers[F_NOW] as number) + clockNs();
  return numbers[F_NOW] as number;
}

/**
 * Time where steps take none: what a thread reads goes on by its own readings alone, so that no
 * other thread's can be told from it. Waits do not time out by it, only when nobody can go on.
 */
function skewedClock(): number {
  skew += clockNs();
  return (numbers[F_NOW] as number) + skew;
}

/** Runs `fn` natively: what it does is no step. */
export function outside<T>(fn: () => T): T {
  const was = runtime.active;
  runtime.active = false;
  runtime.race?.pause(true);
  try {
    return fn();
  } finally {
    runtime.active = was;
    runtime.race?.pause(false);
  }
}

function checkInvariant(): void {
  runtime.active = false;
  runtime.race?.pause(true);
  try {
    (invariant as () => void)();
  } catch (error) {
    scheduler.end(OUTCOME_INVARIANT, me);
    broken ??= errorMail(error);
    throw error;
  } finally {
    runtime.active = true;
    runtime.race?.pause(false);
  }
}

function stackHere(): string {
  const was = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const { stack } = new Error();
  Error.stackTraceLimit = was;
  return stack ?? '';
}

/** Ends the execution for all that have not ended. @context this thread holds the baton */
function abortOthers(): void {
  for (let t = 0; t < control.threads; t++) {
    if (t !== me && words[control.row(t) + R_STATE] !== STATE_DONE) {
      openGate(words, t, GATE_ABORT);
    }
  }
}

/** @returns the mail as it was sent: with an error in it, when it could not be @context own box */
function post(mail: ThreadMail): ThreadMail {
  const row = control.row(me);
  const { result } = mail;
  const plain = mail.error === undefined && mail.history === undefined && mail.trace === undefined;
  if (plain && result === undefined) {
    words[row + R_MAIL_KIND] = MAIL_NONE;
    return mail;
  }
  if (plain && typeof result === 'number') {
    words[row + R_MAIL_KIND] = MAIL_NUMBER;
    numbers[control.result(me)] = result;
    return mail;
  }
  const { bytes, sent } = pack(mail);
  control.mail.set(bytes, me * MAIL_SIZE);
  words[row + R_MAIL_KIND] = MAIL_BYTES;
  words[row + R_MAIL_BYTES] = bytes.length;
  return sent;
}

/**
 * A mail as bytes that fit the box. A trace that is too large is left out; a result or a history
 * that is, or cannot be sent, is an error: `check` would judge by half of what happened.
 */
function pack(mail: ThreadMail): { bytes: Buffer; sent: ThreadMail } {
  let why = `its result and history take more than ${MAIL_SIZE} bytes`;
  try {
    const bytes = serialize(mail);
    if (bytes.length <= MAIL_SIZE) return { bytes, sent: mail };
    const { trace: _, ...rest } = mail;
    const untraced = serialize(rest);
    if (untraced.length <= MAIL_SIZE) return { bytes: untraced, sent: rest };
  } catch (error) {
    why = `its result cannot be sent: ${(error as Error).message}`;
  }
  const error = mail.error ?? { name: 'ScenarioError', message: why, stack: '' };
  const sent = { error };
  return { bytes: serialize(sent), sent };
}

/** @throws ScenarioError for a promise: its thread would go on after its end */
function synchronous(result: unknown): unknown {
  if (!(result instanceof Promise)) return result;
  result.catch(() => {});
  throw new ScenarioError('it returned a promise; thread functions are synchronous');
}

/** Of an error's text so much that it fits the box. */
function shortened(text: unknown): string {
  return String(text).slice(0, ERROR_TEXT_MAX);
}

function errorMail(error: unknown): NonNullable<ThreadMail['error']> {
  if (error instanceof Error) {
    const { name, message, stack = '' } = error;
    return { name: shortened(name), message: shortened(message), stack: shortened(stack) };
  }
  return { name: 'Error', message: shortened(String(error)), stack: '' };
}

/**
 * Runs this thread's part of an execution, and passes the baton on.
 * @param gate GATE_RUN: it was chosen to begin; GATE_ABORT: the execution ended before it did
 * @param body the thread function; its result is mailed
 * @param history what was recorded meanwhile, undefined for nothing
 * @returns true when this thread was the last of the execution to end
 */
export function runThread(
  gate: number,
  body: () => unknown,
  history: () => readonly unknown[] | undefined,
): boolean {
  begin(gate);
  let mail: ThreadMail = {};
  if (gate === GATE_RUN) {
    try {
      runtime.active = true;
      runtime.race?.enter((numbers[F_STEP] as number) - 1);
      mail = { result: synchronous(body()) };
      if (invariant !== null && !aborting) checkInvariant();
    } catch (error) {
      mail = { error: errorMail(error) };
    }
    runtime.active = false;
    runtime.race?.leave();
    if (broken !== undefined) mail = { error: broken };
    const recorded = history();
    if (recorded !== undefined) mail = { ...mail, history: recorded };
    if (tracing) mail = { ...mail, trace: trace.result() };
    tracing = false;
  }
  const sent = post(mail);
  if (!aborting && sent.error !== undefined) {
    scheduler.end(OUTCOME_THREW, me);
    abortOthers();
    return ended();
  }
  return aborting ? ended() : passOn();
}

function begin(gate: number): void {
  forgetPrivate(me);
  aborting = gate !== GATE_RUN;
  gateSpins = words[H_GATE_SPINS] as number;
  spinThreshold = words[H_SPIN_THRESHOLD] as number;
  tracing = words[H_TRACE] === 1;
  site = '';
  if (tracing) {
    trace = new TraceLog();
    trace.site((numbers[F_STEP] as number) - 1, '');
  }
  skew = 0;
  clockStreak = 0;
  relaxStreak = 0;
  broken = undefined;
  spin.reset();
}

/**
 * A thread of a machine begins.
 * @param gate what its gate said
 * @throws ExecutionAborted when the schedule ended before it began
 */
export function enterThread(gate: number): void {
  begin(gate);
  if (aborting) throw new ExecutionAborted('the schedule is over');
  runtime.active = true;
}

/** A thread of a machine has ended. @context outside the schedule already when it was aborted */
export function leaveThread(): void {
  if (!runtime.active) return;
  runtime.active = false;
  if (!aborting) passOn();
}

/** The function has returned: the next thread goes on. */
function passOn(): boolean {
  scheduler.finish(me);
  const next = scheduler.pick();
  if (next === PICK_ABORT) abortOthers();
  const last = ended();
  if (next >= 0) openGate(words, next, GATE_RUN);
  return last;
}

/** Counts this thread out; the last one calls the lead. @returns true when it was the last */
function ended(): boolean {
  const last = memory.sub(words, H_REMAIN, 1) === 1;
  if (last && me !== 0) openGate(words, 0, GATE_LEAD);
  return last;
}
