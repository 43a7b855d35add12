// SPDX-License-Identifier: MIT
/**
 * The lead: the worker of row 0, between executions.
 *
 *   prepare -> put memory back -> first pick -> (threads run) -> check -> learn -> again
 *
 * It runs on the same thread as the scenario's first function, so that two threads under test need
 * two cores and no third thread in between. All of it is synchronous.
 */
import { deserialize } from 'node:v8';
import { openGate, passGate } from './baton.ts';
import {
  type Control,
  F_FRACTION,
  F_NOW,
  F_PROGRESS,
  F_STEP,
  F_STEPS_MAX,
  F_STEPS_TOTAL,
  F_TICK,
  GATE_ABORT,
  GATE_LEAD,
  GATE_RUN,
  H_BEAT,
  H_CULPRIT,
  H_EXECUTIONS,
  H_GATE_SPINS,
  H_HASH,
  H_OUTCOME,
  H_RUNNING,
  H_SEED,
  H_SPIN_THRESHOLD,
  H_STOP,
  H_TIMEOUTS,
  H_TRACE,
  LOG_WHAT,
  LOG_WORDS,
  MAIL_BYTES,
  MAIL_NUMBER,
  MAIL_SIZE,
  OUTCOME_CHECK,
  OUTCOME_DONE,
  OUTCOME_REDUNDANT,
  OUTCOME_STEPS,
  R_EXPECTED,
  R_KIND,
  R_LOC,
  R_MAIL_BYTES,
  R_MAIL_KIND,
  R_STATE,
  R_STEPS,
  R_WATCH,
  R_WATCHED,
  RUNNING_CHECK,
  RUNNING_NO,
  RUNNING_THREADS,
  STATE_BLOCKED,
} from './control.ts';
import { describeAddress } from './locate.ts';
import { makeStrategy } from './make_strategy.ts';
import type { FailureRecord, RunResult, RunSettings, ThreadRecord } from './messages.ts';
import { memory, real } from './native.ts';
import type { RaceLead } from './race/race_thread.ts';
import type { ThreadMail } from './runtime.ts';
import type { Scheduler } from './scheduler.ts';
import { PICK_ABORT } from './scheduler.ts';
import { isFailure, readOutcome, type Strategy } from './strategy.ts';

/** What the lead needs to know of its own thread and of the scenario. */
export interface LeadParts {
  readonly control: Control;
  readonly scheduler: Scheduler;
  readonly names: readonly string[];
  /** The state's shared buffers, in address order. */
  readonly buffers: readonly SharedArrayBuffer[];
  /** Puts the state's memory back. */
  readonly restore: () => void;
  /** Runs this thread's function; true when it was the last to end. */
  readonly runOwn: (gate: number) => boolean;
  /** What looks for races, null when nobody does. */
  readonly race: RaceLead | null;
  /** The scenario's `check`; null when it has none. */
  readonly check: ((results: readonly unknown[], history: readonly unknown[]) => void) | null;
  /** The scenario has an `invariant`, which looks at memory at every step. */
  readonly watched: boolean;
}

interface Tally {
  executions: number;
  redundant: number;
  bounded: number;
  failures: number;
  hash: number;
  failure: FailureRecord | null;
}

/** Executions between two looks at how far the strategy is. */
const FRACTION_MASK = 63;

/** Runs executions until the strategy, the budget, a failure or a stop request ends it. */
export function leadRun(parts: LeadParts, settings: RunSettings): RunResult {
  const { control } = parts;
  const { words, numbers } = control;
  const strategy = makeStrategy(settings.strategy, parts.watched);
  applySettings(control, settings);
  numbers[F_STEPS_TOTAL] = 0;
  numbers[F_FRACTION] = 0;
  const tally: Tally = {
    executions: 0,
    redundant: 0,
    bounded: 0,
    failures: 0,
    hash: 0x811c9dc5 | 0,
    failure: null,
  };
  const startMs = real.now();
  const deadline = startMs + settings.ms;
  let exhausted = false;
  while (tally.executions < settings.executions && memory.load(words, H_STOP) === 0) {
    if (!strategy.prepare(control)) {
      exhausted = true;
      break;
    }
    execute(parts, strategy, settings, tally);
    if (tally.failure !== null && !settings.keepGoing) break;
    if ((tally.executions & FRACTION_MASK) === 0) {
      numbers[F_FRACTION] = strategy.fraction?.() ?? 0;
    }
    if (real.now() >= deadline) break;
  }
  return {
    ...tally,
    hash: tally.hash >>> 0,
    steps: numbers[F_STEPS_TOTAL] as number,
    wallMs: real.now() - startMs,
    exhausted,
    races: parts.race?.take() ?? [],
    inversions: parts.race?.inversions() ?? [],
    strategy: strategy.describe?.() ?? {},
  };
}

function applySettings(control: Control, settings: RunSettings): void {
  const { words, numbers } = control;
  numbers[F_STEPS_MAX] = settings.steps;
  numbers[F_TICK] = settings.tickNs;
  words[H_TIMEOUTS] = settings.timeouts;
  words[H_SPIN_THRESHOLD] = settings.spinThreshold;
  words[H_GATE_SPINS] = settings.gateSpins;
  words[H_TRACE] = settings.trace ? 1 : 0;
}

function execute(parts: LeadParts, strategy: Strategy, settings: RunSettings, tally: Tally): void {
  const { control } = parts;
  const { words } = control;
  parts.race?.reset();
  runThreads(parts);
  parts.race?.collect();
  if (words[H_OUTCOME] === OUTCOME_DONE && parts.check !== null) runCheck(parts);
  memory.add(words, H_BEAT, 1);
  memory.add(words, H_EXECUTIONS, 1);
  const outcome = readOutcome(control);
  tally.executions++;
  tally.hash = Math.imul(tally.hash ^ outcome.hash, 0x01000193);
  if (outcome.kind === OUTCOME_REDUNDANT) tally.redundant++;
  if (outcome.kind === OUTCOME_STEPS) tally.bounded++;
  const failed = isFailure(outcome.kind) && (outcome.kind !== OUTCOME_STEPS || settings.boundFails);
  if (failed) {
    tally.failures++;
    tally.failure ??= recordFailure(parts);
  }
  strategy.learn(failed ? { ...outcome, message: thrownText(parts.control) } : outcome, control);
}

/** One execution, from memory put back to the last thread's end. */
function runThreads(parts: LeadParts): void {
  const { control, scheduler, runOwn } = parts;
  const { words } = control;
  checkFailure = null;
  parts.restore();
  scheduler.begin();
  memory.store(words, H_RUNNING, RUNNING_THREADS);
  const first = scheduler.pick();
  let gate = GATE_RUN;
  if (first > 0) {
    openGate(words, first, GATE_RUN);
    gate = passGate(words, 0, words[H_GATE_SPINS] as number);
  } else if (first === PICK_ABORT) {
    // A plan that cannot even begin: the threads stand at their gates.
    for (let t = 1; t < control.threads; t++) openGate(words, t, GATE_ABORT);
    gate = GATE_ABORT;
  }
  if (!runOwn(gate)) {
    const woken = passGate(words, 0, words[H_GATE_SPINS] as number);
    if (woken !== GATE_LEAD) throw new Error(`the lead was woken by gate ${woken}`);
  }
  memory.store(words, H_RUNNING, RUNNING_NO);
}

let checkFailure: unknown = null;

function runCheck(parts: LeadParts): void {
  const { control } = parts;
  const mails = readMails(control);
  memory.store(control.words, H_RUNNING, RUNNING_CHECK);
  try {
    const results = mails.map((mail) => mail.result);
    parts.check?.(
      results,
      mails.flatMap((mail) => mail.history ?? []),
    );
  } catch (error) {
    checkFailure = error;
    control.words[H_OUTCOME] = OUTCOME_CHECK;
  }
  memory.store(control.words, H_RUNNING, RUNNING_NO);
}

function readMails(control: Control): ThreadMail[] {
  const mails: ThreadMail[] = [];
  for (let t = 0; t < control.threads; t++) mails.push(readMail(control, t));
  return mails;
}

function readMail(control: Control, thread: number): ThreadMail {
  const { words, numbers, mail } = control;
  const row = control.row(thread);
  const kind = words[row + R_MAIL_KIND];
  if (kind === MAIL_NUMBER) return { result: numbers[control.result(thread)] };
  if (kind !== MAIL_BYTES) return {};
  const at = thread * MAIL_SIZE;
  const bytes = mail.slice(at, at + (words[row + R_MAIL_BYTES] as number));
  return deserialize(Buffer.from(bytes.buffer)) as ThreadMail;
}

/** What `check` or the culprit threw. */
function thrown(control: Control): unknown {
  if (checkFailure !== null) return checkFailure;
  const culprit = control.words[H_CULPRIT] as number;
  if (culprit < 0 || culprit >= control.threads) return undefined;
  const { error } = readMail(control, culprit);
  // A thread that was stopped threw nothing of its own.
  return error?.name === 'ExecutionAborted' ? undefined : error;
}

function thrownText(control: Control): string {
  const error = thrown(control);
  if (error === undefined || error === null) return '';
  return typeof error === 'object' ? String((error as Error).message) : String(error);
}

function recordFailure(parts: LeadParts): FailureRecord {
  const { control, names } = parts;
  const { words, numbers, log } = control;
  const steps = control.logged;
  const threads = names.map((name, t) => recordThread(parts, name, t));
  const culprit = words[H_CULPRIT] as number;
  const error = Object(thrown(control) ?? {}) as { name?: string; stack?: string };
  return {
    outcome: words[H_OUTCOME] as number,
    culprit,
    name: error.name ?? '',
    message: thrownText(control),
    stack: error.stack ?? '',
    step: numbers[F_STEP] as number,
    progress: numbers[F_PROGRESS] as number,
    hash: (words[H_HASH] as number) >>> 0,
    seed: words[H_SEED] as number,
    schedule: Array.from(
      { length: steps },
      (_, i) => (log[i * LOG_WORDS + LOG_WHAT] as number) & 0xff,
    ),
    log: log.slice(0, steps * LOG_WORDS),
    threads,
    buffers: parts.buffers.map((buffer) => buffer.byteLength),
  };
}

function recordThread(parts: LeadParts, name: string, thread: number): ThreadRecord {
  const { control } = parts;
  const { words, numbers } = control;
  const row = control.row(thread);
  const loc = words[row + R_LOC] as number;
  const deadline = numbers[control.deadline(thread)] as number;
  const blocked = words[row + R_STATE] === STATE_BLOCKED;
  const watched = Array.from(
    { length: words[row + R_WATCHED] as number },
    (_, i) => words[row + R_WATCH + i] as number,
  );
  return {
    name,
    state: words[row + R_STATE] as number,
    kind: words[row + R_KIND] as number,
    loc,
    steps: words[row + R_STEPS] as number,
    expected: words[row + R_EXPECTED] as number,
    holds: blocked ? wordAt(parts, loc) : null,
    watched,
    timeoutMs: deadline === Infinity ? null : (deadline - (numbers[F_NOW] as number)) / 1e6,
    mail: readMail(control, thread),
  };
}

/** The 32-bit word at an address; null when it is not in the state. */
function wordAt(parts: LeadParts, loc: number): number | null {
  const place = describeAddress(loc);
  const buffer = place === null ? undefined : parts.buffers[place.buffer];
  if (place === null || buffer === undefined || place.offset + 4 > buffer.byteLength) return null;
  return new DataView(buffer).getInt32(place.offset, true);
}
