// SPDX-License-Identifier: GPL-2.0-only
/**
 * A torture job: one type (a primitive and its checkers) on a set of threads for a time.
 *
 *   main thread                       worker, one per role
 *   arena, control words              attach, enter the sync domain
 *   sets STOP when the time is up,    body: loop { stutter; use the primitive; check } until STOP
 *   or a check fails; watches PROGRESS
 *   judge(tallies): did it hold?      returns its tally
 *
 * Each type has a broken variant ("busted"), which its checkers must catch: without that, a torture
 * that passes says nothing.
 */
import type { Arena, ArenaBuilder } from '../../shared/arena.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { Prng } from '../../shared/prng.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { armDelays, disarmDelays } from '../harness/torture_delays.ts';

/** @atomic 1: bodies return soon */
export const J_STOP = 0;
/** @atomic odd: all threads pause */
export const J_STUTTER = 1;
/** @atomic checks that failed */
export const J_FAILED = 2;
/** @atomic threads that are ready to start */
export const J_READY = 3;
/** @atomic one line per thread id: turns of its loop, seen by the watch. */
export const J_PROGRESS = LINE_WORDS;

/** @returns words of the control block of a job with thread ids 1 .. threads */
export function jobControlWords(threads: number): number {
  return J_PROGRESS + (threads + 1) * LINE_WORDS;
}

/** Counts of one thread, by name. */
export type Tally = Readonly<Record<string, number | readonly number[]>>;

/** What a type's judge says. */
export interface Verdict {
  /** Statistics, a line each. */
  readonly lines: readonly string[];
  /** What is wrong, a line each; empty when it held. */
  readonly failures: readonly string[];
  /** Figures for the JSON report. */
  readonly counts: Readonly<Record<string, number | readonly number[]>>;
}

/** One primitive under torture. */
export interface TortureType<T = unknown> {
  readonly name: string;
  /** What is broken in the broken variant. */
  readonly busted: string;
  /** Tries at the broken variant, in milliseconds, where it is caught seldom. */
  readonly bustedMs?: readonly number[];
  /** Threads that make no turn for so long hang, where one does what takes long. */
  readonly hangMs?: number;
  /** Fewest threads that it works with. */
  readonly threadsMin?: number;
  /** It works with multiples of this number only. */
  readonly threadsMultiple?: number;
  /** Role of each thread. */
  roles(threads: number): readonly string[];
  /** Its shared tables. Pure: every thread calls it. */
  declare(builder: ArenaBuilder, threads: number): T;
  /** Values before the first thread starts. @context main thread */
  init?(tables: T, threads: number): void;
  /** Runs until `ctx.stopped`. @context worker */
  body(tables: T, ctx: TortureContext): Tally;
  /** Looks at the end. @context main thread, all threads have returned */
  judge(tables: T, tallies: readonly RoleTally[], threads: number): Verdict;
}

/** Threads that a type runs on, asked for `threads`. */
export function threadsOf(type: TortureType, threads: number): number {
  const { threadsMin = 2, threadsMultiple = 1 } = type;
  return Math.ceil(Math.max(threads, threadsMin) / threadsMultiple) * threadsMultiple;
}

/** A tally and whose it is. */
export interface RoleTally {
  readonly role: string;
  readonly tally: Tally;
}

/** Turns of a loop with delays around Atomics operations, and then so many without. */
const DELAYED_TURNS = 16;
const FREE_TURNS = 1024;
/** Longest list of messages that a thread keeps. */
const MESSAGES_MAX = 5;
/** Pauses and holds, in milliseconds: kernel's, scaled down to runs of seconds. */
const LONG_HOLD_MS = 5;

/** What a body works with. */
export class TortureContext {
  /** 1 .. threads */
  readonly id: number;
  readonly threads: number;
  readonly role: string;
  readonly busted: boolean;
  readonly prng: Prng;
  readonly messages: string[] = [];
  /** Memory of the job's arena, for code that is compiled over it. */
  readonly memory: Arena<unknown>['memory'];
  readonly #control: I32;
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #turnsLeft = 0;
  #delayed = false;

  constructor(request: JobRequest) {
    this.#control = request.control;
    this.memory = request.memory;
    this.id = request.id;
    this.threads = request.threads;
    this.role = request.role;
    this.busted = request.busted;
    this.prng = new Prng(request.seed, request.id);
  }

  get stopped(): boolean {
    return Atomics.load(this.#control, J_STOP) !== 0;
  }

  /** A check of some thread has failed: what is shared may be beyond repair. */
  get failed(): boolean {
    return Atomics.load(this.#control, J_FAILED) !== 0;
  }

  /** All threads pause, or are about to: a reader says goodbye before it does. */
  get pausing(): boolean {
    return (Atomics.load(this.#control, J_STUTTER) & 1) !== 0;
  }

  /** One turn of the loop: a sign of life; sleeps while all pause. @returns false to stop */
  turn(): boolean {
    Atomics.add(this.#control, J_PROGRESS + this.id * LINE_WORDS, 1);
    if (--this.#turnsLeft <= 0) this.#switchDelays();
    for (;;) {
      if (this.stopped) return false;
      const stutter = Atomics.load(this.#control, J_STUTTER);
      if ((stutter & 1) === 0) return true;
      Atomics.wait(this.#control, J_STUTTER, stutter, 1000);
    }
  }

  /** Delays around Atomics operations (torture_delays.ts) come and go. */
  #switchDelays(): void {
    this.#delayed = !this.#delayed;
    this.#turnsLeft = this.#delayed ? DELAYED_TURNS : FREE_TURNS;
    if (this.#delayed) armDelays(this.prng.nextU32(), this.id, 0);
    else disarmDelays();
  }

  /** A check failed: it is counted, and the job ends. */
  fail(message: string): void {
    if (this.messages.length < MESSAGES_MAX)
      this.messages.push(`${this.role}${this.id}: ${message}`);
    Atomics.add(this.#control, J_FAILED, 1);
    Atomics.store(this.#control, J_STOP, 1);
    Atomics.notify(this.#control, J_STUTTER);
  }

  /** True once in `of` calls, on average. */
  rarely(of: number): boolean {
    return this.prng.below(of) === 0;
  }

  /** Sleeps. @param ms fractions too */
  nap(ms: number): void {
    Atomics.wait(this.#nap, 0, 0, ms);
  }

  /** Holds for a while: mostly nothing or a moment, at times past the end of a time slice. */
  hold(longHolds = 4096): void {
    if (this.rarely(longHolds)) this.nap(1 + this.prng.below(LONG_HOLD_MS));
    else if (this.rarely(256)) this.nap(0.01);
    else if (this.rarely(8)) this.spin(this.prng.below(200));
  }

  /** The gap in a broken variant: long enough to be met, on a machine with one core too. */
  gap(): void {
    if (this.rarely(16)) this.nap(0.02);
    else this.spin(this.prng.below(60));
  }

  /** Computes for a moment. */
  spin(loads: number): void {
    for (let i = 0; i < loads; i++) Atomics.load(this.#nap, 0);
  }
}

/** What a worker is told to run. */
export interface JobRequest {
  readonly module: string;
  readonly type: string;
  readonly busted: boolean;
  readonly memory: Arena<unknown>['memory'];
  readonly control: I32;
  readonly id: number;
  readonly threads: number;
  readonly role: string;
  readonly seed: number;
}

/** What it answers. */
export interface JobAnswer {
  readonly tally: Tally;
  readonly messages: readonly string[];
  /** Thrown by the body. */
  readonly thrown: string | null;
  readonly stack: string;
}

/** Waits until a word is not `value`, for at most `ms`. @returns false when it still is */
export function awaitWord(words: I32, index: number, value: number, ms: number): boolean {
  const endNs = ktimeNs() + ms * 1e6;
  while (Atomics.load(words, index) === value) {
    const leftMs = (endNs - ktimeNs()) / 1e6;
    if (leftMs <= 0) return false;
    Atomics.wait(words, index, value, leftMs);
  }
  return true;
}

/** `Writes: Total: N Max/Min: a/b [???] Fail: f [!!!]`, as locktorture prints it. */
export function statistics(what: string, totals: readonly number[], failed: number): string {
  const total = totals.reduce((sum, one) => sum + one, 0);
  const max = Math.max(0, ...totals);
  const min = totals.length === 0 ? 0 : Math.min(...totals);
  const unfair = Math.floor(max / 2) > min ? ' ???' : '';
  const bang = failed > 0 ? ' !!!' : '';
  return `${what}: Total: ${total} Max/Min: ${max}/${min}${unfair} Fail: ${failed}${bang}`;
}

/** A named count of every tally of a role, and 0 where there is none. */
export function countsOf(tallies: readonly RoleTally[], role: string, name: string): number[] {
  return tallies
    .filter((one) => one.role === role)
    .map(({ tally }) => (typeof tally[name] === 'number' ? tally[name] : 0));
}

/** A named count of all tallies together. */
export function sumOf(tallies: readonly RoleTally[], name: string): number {
  return tallies.reduce((sum, { tally }) => {
    return sum + (typeof tally[name] === 'number' ? tally[name] : 0);
  }, 0);
}
