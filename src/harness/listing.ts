// SPDX-License-Identifier: MIT
/**
 * The space-time listing of an execution: a row per step, a column per thread, downwards in time.
 *
 *   step   a                          b                          at
 *      0   starts                                                queue.mjs:3
 *      1   load state.words[0] = 0                               queue.mjs:4   const v = ...
 *      2 >                            starts
 *
 * A `>` marks a context switch. What repeats is folded; of a long listing the beginning and the end
 * are shown.
 */
import type { AddressNames } from './address_names.ts';
import { LOG_AUX, LOG_LOC, LOG_WHAT, LOG_WORDS, WAIT_OK } from './control.ts';
import type { FailureRecord } from './messages.ts';
import {
  OP_CAS,
  OP_LOAD,
  OP_NAMES,
  OP_NOTIFY,
  OP_PLAIN_READ,
  OP_PLAIN_WRITE,
  OP_RESUME,
  OP_RMW,
  OP_START,
  OP_STORE,
  OP_TIMEOUT,
  OP_WAIT,
} from './ops.ts';
import { type Frame, readFrames, SourceLines } from './stack_frames.ts';

export type Value = number | bigint;

/** One step of an execution. */
export interface Step {
  readonly step: number;
  readonly thread: number;
  /** OP_* */
  readonly kind: number;
  /** Byte address, -1 none. */
  readonly loc: number;
  readonly bytes: number;
  /** LOG_AUX: see control.ts. */
  readonly aux: number;
  /** What it saw and left; null where it was not traced. */
  readonly seen: Value | null;
  readonly left: Value | null;
  /** Innermost frame first; empty where it was not traced. */
  readonly frames: readonly Frame[];
}

/** @returns the steps of a failure, as far as they were logged */
export function readSteps(failure: FailureRecord): Step[] {
  const frames: Frame[][] = [];
  const values = new Map<number, readonly [Value, Value]>();
  for (const { mail } of failure.threads) {
    const { stacks = [], sites = [], values: seen = [] } = mail.trace ?? {};
    const parsed = stacks.map(readFrames);
    for (let i = 0; i < sites.length; i += 2) {
      frames[sites[i] as number] = parsed[sites[i + 1] as number] ?? [];
    }
    for (let i = 0; i < seen.length; i += 3) {
      values.set(Number(seen[i]), [seen[i + 1] as Value, seen[i + 2] as Value]);
    }
  }
  const { log } = failure;
  return Array.from({ length: log.length / LOG_WORDS }, (_, step) => {
    const at = step * LOG_WORDS;
    const what = log[at + LOG_WHAT] as number;
    const [seen, left] = values.get(step) ?? [null, null];
    return {
      step,
      thread: what & 0xff,
      kind: (what >> 8) & 0xff,
      bytes: what >>> 16,
      loc: log[at + LOG_LOC] as number,
      aux: log[at + LOG_AUX] as number,
      seen,
      left,
      frames: frames[step] ?? [],
    };
  });
}

/** @returns true when the step is known to have changed its word */
export function changes({ kind, seen, left }: Step): boolean {
  return (kind === OP_STORE || kind === OP_RMW || kind === OP_CAS) && seen !== left;
}

/** @param names of the threads @returns what the step did, in a few words */
export function describeStep(step: Step, places: AddressNames, names: readonly string[]): string {
  const { kind, aux, seen, left } = step;
  const word = step.loc < 0 ? '' : ` ${places.name(step.loc, step.bytes)}`;
  switch (kind) {
    case OP_START:
      return 'starts';
    case OP_LOAD:
      return `load${word} = ${seen ?? aux}`;
    case OP_STORE:
      return seen === null ? `store${word} = ${aux}` : `store${word}: ${seen} -> ${left}`;
    case OP_RMW:
      return seen === null ? `rmw${word} = ${aux}` : `rmw${word}: ${seen} -> ${left}`;
    case OP_CAS:
      if (seen === null) return `compareExchange${word}, was ${aux}`;
      if (seen === left) return `compareExchange${word} = ${seen}: fails`;
      return `compareExchange${word}: ${seen} -> ${left}`;
    case OP_WAIT:
      if (aux === 1) return `wait${word} while ${left ?? '?'}: sleeps`;
      return `wait${word} while ${left ?? '?'}: is ${seen ?? 'not'}, goes on`;
    case OP_RESUME:
      return aux === WAIT_OK ? `wait${word}: woken` : `wait${word}: timed out`;
    case OP_TIMEOUT:
      return `wait${word}: times out`;
    case OP_NOTIFY:
      return `notify${word}: wakes ${woken(aux, names)}`;
    case OP_PLAIN_READ:
      return seen === null ? `read${word}` : `read${word} = ${seen}`;
    case OP_PLAIN_WRITE:
      return left === null ? `write${word}` : `write${word} = ${left}`;
    default:
      return `${OP_NAMES[kind] ?? 'operation'}${word}`;
  }
}

function woken(mask: number, names: readonly string[]): string {
  const list = names.filter((_, t) => t < 32 && (mask & (1 << t)) !== 0);
  return list.length === 0 ? 'nobody' : list.join(', ');
}

/** One row of a listing. */
export interface Row {
  readonly step: number;
  readonly thread: number;
  readonly text: string;
  /** Operation and word, without values. */
  readonly shape: string;
  /** Another thread took the step before. */
  readonly switched: boolean;
  /** Where, as `file:line`; where the scenario's own file is further out, that too. */
  readonly frames: readonly Frame[];
  /** The line of the innermost frame. */
  readonly source: string;
}

/** Rows, or what is said in place of some. */
export type Entry = Row | { readonly note: string };

/** Rows of a folded pattern, at most. */
const PERIOD_MAX = 8;
/** Times that a pattern must repeat to be folded. */
const REPEATS_MIN = 3;
const HEAD_ROWS = 20;
const TAIL_ROWS = 60;
/** Rows of an idle tail, at most. */
const IDLE_ROWS = 12;
const TELLING = new Set([OP_WAIT, OP_NOTIFY, OP_RESUME, OP_TIMEOUT]);

/** What a listing needs to know. */
export interface ListingInput {
  readonly steps: readonly Step[];
  readonly names: readonly string[];
  readonly places: AddressNames;
  /** The code was edited before it ran: lines are right, columns are not. */
  readonly edited: boolean;
  /** First step of the idle tail; see `idleFrom`. */
  readonly idleFrom: number;
}

/** @returns rows and notes, folded and cut to what a person reads */
export function makeListing(input: ListingInput): Entry[] {
  const { steps, names, idleFrom } = input;
  const rows = makeRows(input);
  const entries = cutMiddle(fold(rows.slice(0, idleFrom), names));
  const tail = rows.slice(idleFrom);
  if (tail.length === 0) return entries;
  if (tail.length <= IDLE_ROWS) return [...entries, ...fold(tail, names)];
  // Who went to sleep, and who told whom, is worth its row even though it changed no word.
  const telling = tail.filter((row) => TELLING.has(steps[row.step]?.kind ?? -1));
  return [...entries, ...telling.slice(0, IDLE_ROWS), { note: idleNote(input) }];
}

function makeRows({ steps, names, places, edited }: ListingInput): Row[] {
  const lines = new SourceLines();
  return steps.map((step, i): Row => {
    const [frame] = step.frames;
    return {
      step: step.step,
      thread: step.thread,
      text: describeStep(step, places, names),
      shape: `${step.kind} ${step.loc}`,
      switched: i > 0 && steps[i - 1]?.thread !== step.thread,
      frames: step.frames,
      source: frame === undefined ? '' : lines.at(frame, edited),
    };
  });
}

function idleNote({ steps, names, places, idleFrom }: ListingInput): string {
  const looks = new Map<number, Set<string>>();
  for (const step of steps.slice(idleFrom)) {
    const words = looks.get(step.thread) ?? new Set();
    if (step.loc >= 0) words.add(places.name(step.loc, step.bytes));
    looks.set(step.thread, words);
  }
  const who = [...looks].map(
    ([t, words]) => `${names[t]} at ${[...words].join(', ') || 'nothing'}`,
  );
  const count = steps.length - idleFrom;
  return `${count} steps that change nothing: ${who.join('; ')}`;
}

/** The same operation of the same place, whatever the values. */
function sameRow(a: Row | undefined, b: Row | undefined): boolean {
  if (a === undefined || b === undefined || a.thread !== b.thread || a.shape !== b.shape) {
    return false;
  }
  const [p, q] = [a.frames[0], b.frames[0]];
  return p?.line === q?.line && p?.column === q?.column && p?.file === q?.file;
}

/** Length of the pattern that repeats from here on, and how often; `times` 1 for none. */
function pattern(rows: readonly Row[], at: number): { period: number; times: number } {
  for (let period = 1; period <= PERIOD_MAX; period++) {
    let end = at + period;
    while (end < rows.length && sameRow(rows[end], rows[end - period])) end++;
    const times = Math.floor((end - at) / period);
    if (times >= REPEATS_MIN) return { period, times };
  }
  return { period: 1, times: 1 };
}

/** Of what repeats, shows the first time, and the last where the values are others. */
function fold(rows: readonly Row[], names: readonly string[]): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < rows.length; ) {
    const { period, times } = pattern(rows, at);
    const first = rows.slice(at, at + period);
    at += period * times;
    entries.push(...first);
    if (times === 1) continue;
    const last = rows.slice(at - period, at);
    const alike = last.every((row, i) => row.text === first[i]?.text);
    const who = [...new Set(first.map((row) => names[row.thread]))].join(', ');
    const what = period === 1 ? 'the same' : `the same ${period} steps`;
    entries.push({ note: `${who}: ${what} ${times - (alike ? 1 : 2)} times more` });
    if (!alike) entries.push(...last);
  }
  return entries;
}

function cutMiddle(entries: readonly Entry[]): Entry[] {
  if (entries.length <= HEAD_ROWS + TAIL_ROWS) return [...entries];
  const left = entries.length - HEAD_ROWS - TAIL_ROWS;
  const note = `${left} rows left out`;
  return [...entries.slice(0, HEAD_ROWS), { note }, ...entries.slice(-TAIL_ROWS)];
}
