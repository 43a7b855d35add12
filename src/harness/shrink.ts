// SPDX-License-Identifier: MIT
/**
 * Makes a failing schedule small: few context switches first, few steps second, since a reader
 * follows a failure from switch to switch.
 *
 * A candidate is a plan that need not be followed to the letter: where a thread cannot go, and
 * after the plan's end, the running thread goes on as long as it can (POLICY_STAY), so that what is
 * not laid down has no needless switch. A candidate that fails in the same way and is smaller is
 * the new best; what is kept of it is what was executed, cut where STAY would do the same by
 * itself.
 *
 *   group    let each thread of a chunk take all its steps there at once, in chunks that get
 *            smaller: where threads do not meet it changes nothing but the number of switches
 *   cut      the shortest beginning of the schedule after which it fails by itself
 *   drop     leave runs out, in chunks as well (delta debugging)
 *   join     move a run to the next or the previous one of its thread
 *   shorten  let a run end earlier
 *
 * The same way means the same outcome, and a message that differs in numbers alone; of a deadlock,
 * threads that are stuck on the same words. In a deadlock the steps after the last that changed
 * anything do not count: they are threads that look in vain.
 *
 * An execution that does not end is one that goes on in rounds: what counts of it is the way there
 * and one round. So threads in turn are tried first, for a few steps each.
 *
 * It is a Strategy: it runs on the lead, between executions, thousands of them a second.
 */
import {
  type Control,
  F_PROGRESS,
  F_STEPS_MAX,
  LOG_ENABLED,
  LOG_WHAT,
  LOG_WORDS,
  OUTCOME_DEADLOCK,
  OUTCOME_LIVELOCK,
  OUTCOME_STEPS,
  R_LOC,
  R_STATE,
  R_WATCH,
  R_WATCHED,
  STATE_BLOCKED,
  STATE_SPINNING,
} from './control.ts';
import { findRounds, joinRuns, type Run, type Runs, stepsOf, toRuns, toSteps } from './schedule.ts';
import { isFailure, type Outcome, type Strategy, seedExecution, writePlan } from './strategy.ts';

/** Threads whose bit LOG_ENABLED has. */
const MASK_THREADS = 31;
/** Steps of a turn, where threads are tried in turn. */
const TURN_STEPS_MAX = 8;

/** @returns the message with its numbers blotted out, but for those of a place in a file */
export function messageClass(message: string): string {
  return message.replace(/(?<![:\w.])-?\d+(?:\.\d+)?/g, '#');
}

/** What two executions have in common that fail in the same way. */
export function failureKey(outcome: Outcome, control: Control): string {
  const key = `${outcome.kind} ${messageClass(outcome.message ?? '')}`;
  return outcome.kind === OUTCOME_DEADLOCK ? `${key} ${stuckOn(control).join()}` : key;
}

/** Addresses that threads wait for or spin on, each once. */
function stuckOn(control: Control): number[] {
  const { words } = control;
  const locs = new Set<number>();
  for (let t = 0; t < control.threads; t++) {
    const row = control.row(t);
    if (words[row + R_STATE] === STATE_BLOCKED) locs.add(words[row + R_LOC] as number);
    if (words[row + R_STATE] !== STATE_SPINNING) continue;
    const count = words[row + R_WATCHED] as number;
    for (let i = 0; i < count; i++) locs.add(words[row + R_WATCH + i] as number);
  }
  return [...locs].sort((a, b) => a - b);
}

/** Outcomes of executions that end because nothing happens any more. */
export function endsIdle(kind: number): boolean {
  return kind === OUTCOME_DEADLOCK || kind === OUTCOME_LIVELOCK;
}

/** An execution as it went. */
interface Tried {
  /** Steps that count, as runs. */
  readonly executed: Runs;
  /** As much of it as must be laid down. */
  readonly plan: Runs;
  readonly switches: number;
  readonly steps: number;
}

interface Verdict {
  readonly same: boolean;
  readonly better: boolean;
}

type Search = Generator<Runs, void, Verdict>;

/** Proposes smaller and smaller schedules until it knows none. */
export class ShrinkStrategy implements Strategy {
  readonly name = 'shrink';
  readonly #seed: number;
  readonly #search: Search;
  readonly #seen = new Set<string>();
  #verdict: Verdict = { same: false, better: false };
  #key: string | null = null;
  #endless = false;
  #threads = 0;
  #stepsMax = 0;
  #best: Tried;
  #tried = 0;
  #accepted = 0;

  /** @param runs a schedule that fails @param seed of the threads' own chance */
  constructor(runs: Runs, seed: number) {
    this.#seed = seed;
    this.#best = { executed: runs, plan: runs, switches: Infinity, steps: Infinity };
    this.#search = this.#passes(runs);
  }

  prepare(control: Control): boolean {
    for (;;) {
      const next = this.#search.next(this.#verdict);
      if (next.done === true) return false;
      const key = next.value.join(' ');
      this.#verdict = { same: false, better: false };
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.#threads = control.threads;
      this.#stepsMax = control.numbers[F_STEPS_MAX] as number;
      writePlan(control, toSteps(next.value), false);
      seedExecution(control, this.#seed);
      return true;
    }
  }

  learn(outcome: Outcome, control: Control): void {
    this.#tried++;
    if (this.#tried === 1) this.#endless = outcome.kind === OUTCOME_STEPS;
    const same = isFailure(outcome.kind) && this.#isSame(failureKey(outcome, control));
    if (!same) return;
    const tried = readTried(outcome, control);
    const better = compare(tried, this.#best) < 0;
    this.#verdict = { same, better };
    if (!better) return;
    this.#accepted++;
    this.#best = tried;
  }

  /** The smallest schedule, and what it took. */
  describe(): Record<string, unknown> {
    const { executed, switches, steps } = this.#best;
    const found = this.#key !== null;
    return { found, runs: executed, switches, steps, tried: this.#tried, accepted: this.#accepted };
  }

  /** The first execution, of the schedule as it came, says what to look for. */
  #isSame(key: string): boolean {
    if (this.#tried === 1) this.#key = key;
    return this.#key === key;
  }

  *#passes(runs: Runs): Search {
    if (!(yield runs).same) return;
    if (this.#endless) {
      yield* this.#turns();
      if (this.#accepted > 1) return;
    }
    yield* this.#chunks(group);
    yield* this.#cut();
    for (;;) {
      const before = this.#best;
      yield* this.#chunks(drop);
      yield* this.#chunks(group);
      yield* this.#join();
      yield* this.#shorten();
      if (compare(this.#best, before) === 0) return;
    }
  }

  /** All threads in turn, to the end. */
  *#turns(): Search {
    for (let turn = 1; turn <= TURN_STEPS_MAX; turn++) {
      const turns = Math.ceil(this.#stepsMax / turn);
      yield Array.from({ length: turns }, (_, i): Run => [i % this.#threads, turn]);
    }
  }

  /** Fails with a beginning of so many runs: searched by halving, as if more were always worse. */
  *#cut(): Search {
    const { plan } = this.#best;
    let low = 0;
    let high = plan.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((yield plan.slice(0, middle)).same) high = middle;
      else low = middle + 1;
    }
  }

  /** Tries a change of each chunk of the plan, from halves to single runs. */
  *#chunks(change: (plan: Runs, at: number, size: number) => Runs): Search {
    for (let size = Math.ceil(this.#best.plan.length / 2); size >= 1; size = Math.floor(size / 2)) {
      let at = 0;
      while (at < this.#best.plan.length) {
        if (!(yield change(this.#best.plan, at, size)).better) at += size;
      }
    }
  }

  *#join(): Search {
    for (let at = 0; at < this.#best.plan.length; at++) {
      for (;;) {
        const { plan } = this.#best;
        const thread = plan[at]?.[0];
        const next = plan.findIndex((run, i) => i > at && run[0] === thread);
        if (next < 0) break;
        if ((yield moveRun(plan, next, at + 1)).better) continue;
        if (!(yield moveRun(plan, at, next)).better) break;
      }
    }
  }

  *#shorten(): Search {
    for (let at = 0; at < this.#best.plan.length; at++) {
      let less = (this.#best.plan[at] as Run)[1] >> 1;
      while (less >= 1) {
        const run = this.#best.plan[at];
        if (run === undefined) return;
        const shorter: Run = [run[0], Math.max(run[1] - less, 0)];
        const plan = joinRuns(this.#best.plan.with(at, shorter));
        if (!(yield plan).better) less >>= 1;
      }
    }
  }
}

/** Few switches first. */
function compare(a: Tried, b: Tried): number {
  return a.switches - b.switches || a.steps - b.steps || a.plan.length - b.plan.length;
}

function drop(plan: Runs, at: number, size: number): Runs {
  return joinRuns([...plan.slice(0, at), ...plan.slice(at + size)]);
}

function group(plan: Runs, at: number, size: number): Runs {
  const steps = new Map<number, number>();
  for (const [thread, count] of plan.slice(at, at + size)) {
    steps.set(thread, (steps.get(thread) ?? 0) + count);
  }
  return joinRuns([...plan.slice(0, at), ...steps, ...plan.slice(at + size)]);
}

/** Takes a run out and puts it back before what stood at `to`. */
function moveRun(plan: Runs, from: number, to: number): Runs {
  const run = plan[from] as Run;
  const rest = plan.filter((_, i) => i !== from);
  const at = to > from ? to - 1 : to;
  return joinRuns([...rest.slice(0, at), run, ...rest.slice(at)]);
}

/** Reads the execution that has just ended. @context the lead */
function readTried(outcome: Outcome, control: Control): Tried {
  const { log, numbers } = control;
  const last = endsIdle(outcome.kind) ? (numbers[F_PROGRESS] as number) + 1 : control.logged;
  const steps = Math.min(last, control.logged);
  const threads = Array.from(
    { length: steps },
    (_, i) => (log[i * LOG_WORDS + LOG_WHAT] as number) & 0xff,
  );
  let planned = steps;
  while (planned > 0 && stays(control, threads, planned - 1)) planned--;
  const executed = toRuns(threads);
  const plan = toRuns(threads, planned);
  if (outcome.kind === OUTCOME_STEPS) {
    const rounds = findRounds(threads);
    const way = rounds === null ? executed : toRuns(threads, rounds.from + rounds.steps);
    return { executed, plan, switches: way.length - 1, steps: stepsOf(way) };
  }
  return { executed, plan, switches: Math.max(executed.length - 1, 0), steps: stepsOf(executed) };
}

/** POLICY_STAY would have chosen the thread of this step. */
function stays(control: Control, threads: readonly number[], step: number): boolean {
  const enabled = control.log[step * LOG_WORDS + LOG_ENABLED] as number;
  const before = step > 0 ? (threads[step - 1] as number) : -1;
  const chosen = threads[step] as number;
  if (chosen >= MASK_THREADS) return false;
  if (before >= 0 && (enabled & (1 << before)) !== 0) return chosen === before;
  return chosen === 31 - Math.clz32(enabled & -enabled);
}
