// SPDX-License-Identifier: MIT
/**
 * The words that torture threads share with each other and with the main thread, which watches.
 *
 *   K_BARRIER   all threads meet here at both ends of a round
 *   K_PLAN      the lead's plan of the round: written before the barrier, read after it
 *   K_STOP      1: no further round
 *   rows        one line per thread: what it does, for whoever asks when nothing moves any more
 *   mail        per thread: what its function returned or threw, as bytes
 */
import { deserialize, serialize } from 'node:v8';
import type { I32, U8 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { History } from './history.ts';

/** @atomic the barrier's words */
export const K_BARRIER = 0;
/** @atomic set by the main thread */
export const K_STOP = LINE_WORDS;
/** @atomic threads whose function threw in this round */
export const K_THREW = LINE_WORDS + 1;
export const K_PLAN = 2 * LINE_WORDS;
const K_ROWS = 3 * LINE_WORDS;

/** Words of the plan. */
export const PLAN_OVER = 0;
export const PLAN_ROUND = 1;
/** 1: no delays and no jitter in this round. */
export const PLAN_CALM = 2;

/** Words of a row. */
export const ROW_PHASE = 0; // @atomic PHASE_*
export const ROW_OP = 1; // @owner its thread  @racy reports: number of the last Atomics operation
export const ROW_INDEX = 2; // @owner its thread  @racy reports: its index
export const ROW_OPS = 3; // @owner its thread  @racy reports: operations since it started

export const PHASE_LOADING = 0;
export const PHASE_WAITING = 1;
export const PHASE_RUNNING = 2;
export const PHASE_RETURNED = 3;
export const PHASE_THREW = 4;
export const PHASE_CHECKING = 5;
export const PHASE_PAUSED = 6;

/** What a phase is called in a report. */
export const PHASE_NAMES = [
  'loads',
  'waits for the round',
  'runs',
  'returned',
  'threw',
  'checks',
  'pauses',
];

/** Operations by number, from 1, as ROW_OP has them. */
export const OP_NAMES = [
  'load',
  'store',
  'add',
  'sub',
  'and',
  'or',
  'xor',
  'exchange',
  'compareExchange',
  'wait',
  'notify',
] as const;

const MAIL_BYTES = 1 << 16;
const MAIL_HEADER = 16;
const KIND_NONE = 0;
const KIND_NUMBER = 1;
const KIND_BYTES = 2;

/** What a thread function threw. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** What a round of one thread came to. */
export interface Mail {
  readonly result: unknown;
  readonly history: History | undefined;
  readonly thrown: Thrown | null;
}

const NO_MAIL: Mail = { result: undefined, history: undefined, thrown: null };

/** An error as data. */
export function thrownOf(error: unknown): Thrown {
  if (!(error instanceof Error)) return { name: 'thrown', message: String(error), stack: '' };
  return { name: error.name, message: error.message, stack: error.stack ?? '' };
}

/** The shared block. */
export class TortureControl {
  readonly words: I32;
  readonly #bytes: U8;
  readonly #header: I32;
  readonly #number: Float64Array;
  readonly threads: number;

  /** @param buffer from `make` */
  constructor(buffer: SharedArrayBuffer, threads: number) {
    this.threads = threads;
    const words = K_ROWS + threads * LINE_WORDS;
    this.words = new Int32Array(buffer, 0, words);
    this.#bytes = new Uint8Array(buffer, words * 4);
    this.#header = new Int32Array(buffer, words * 4);
    this.#number = new Float64Array(buffer, words * 4);
  }

  static make(threads: number): SharedArrayBuffer {
    const bytes = (K_ROWS + threads * LINE_WORDS) * 4;
    return new SharedArrayBuffer(bytes + threads * (MAIL_HEADER + MAIL_BYTES));
  }

  /** First word of a thread's row. */
  row(thread: number): number {
    return K_ROWS + thread * LINE_WORDS;
  }

  setPhase(thread: number, phase: number): void {
    Atomics.store(this.words, this.row(thread) + ROW_PHASE, phase);
  }

  phase(thread: number): number {
    return Atomics.load(this.words, this.row(thread) + ROW_PHASE);
  }

  /**
   * Leaves what a round came to. Numbers and undefined, the usual results, cost nothing.
   * @throws Error where it cannot be sent, or is longer than 64 KiB
   */
  post(thread: number, mail: Mail): void {
    const at = this.#mailOf(thread);
    const { result, history, thrown } = mail;
    const bare = history === undefined && thrown === null;
    if (bare && (result === undefined || typeof result === 'number')) {
      this.#header[at / 4] = result === undefined ? KIND_NONE : KIND_NUMBER;
      this.#number[at / 8 + 1] = result ?? 0;
      return;
    }
    const bytes = serialize(mail);
    if (bytes.length > MAIL_BYTES) throw new Error('a result of more than 64 KiB');
    this.#header[at / 4] = KIND_BYTES;
    this.#header[at / 4 + 1] = bytes.length;
    this.#bytes.set(bytes, at + MAIL_HEADER);
  }

  /** What a thread left. @context after the barrier, or while its thread stands still */
  read(thread: number): Mail {
    const at = this.#mailOf(thread);
    const kind = this.#header[at / 4];
    if (kind === KIND_NONE) return NO_MAIL;
    if (kind === KIND_NUMBER) return { ...NO_MAIL, result: this.#number[at / 8 + 1] };
    const length = this.#header[at / 4 + 1] as number;
    return deserialize(this.#bytes.slice(at + MAIL_HEADER, at + MAIL_HEADER + length)) as Mail;
  }

  #mailOf(thread: number): number {
    return thread * (MAIL_HEADER + MAIL_BYTES);
  }
}
