// SPDX-License-Identifier: MIT
/**
 * Trace ring: every thread writes events into a ring of its own, overwriting the oldest; another
 * thread drains them without stopping the writer.
 *
 * A record is a time, an event id and four arguments. The writer publishes by moving HEAD, the
 * number of records ever written; record n lies in slot n mod entries and carries n + 1 as its
 * sequence, before and after its other words.
 *
 *   HEAD = h     records h - entries + 1 .. h - 1 are whole; slot h mod entries may be half written
 *   off          traceEvent is one branch
 *
 * Guarantees: (A) a drained record is one that was written, in order, never twice; (B) what was
 * overwritten before it was drained is counted in `lost`; (C) the writer never waits.
 * How a torn record is seen: the drainer reads sequence, words, sequence, then HEAD again; the
 * record is dropped unless all three say that the writer has not come round. Plain words are read
 * while they may be written; that is harmless since such a record is dropped.
 * Progress: the writer is wait-free; a drain is bounded by `entries`.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { ktimeSharedMs } from './ktime.ts';
import { THREADS_MAX } from './limits.ts';
import type { F64, I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** Records per thread, unless declared otherwise. */
export const TRACE_ENTRIES_DEFAULT = 1024;

// Words of a record.
const SEQ_BEGIN = 0;
const EVENT = 1;
const ARG0 = 2;
const SEQ_END = 6;
const RECORD_WORDS = 8;

export interface TraceTable {
  readonly head: I32; // @atomic records ever written, one line per thread; written by its thread
  readonly records: I32; // @owner thread of the row  @racy drains: torn records are dropped
  readonly times: F64; // @owner thread of the row  @racy drains
  readonly entries: number;
}

/** A drained event. */
export interface TraceEvent {
  /** Milliseconds on the clock that all threads share. */
  readonly timeMs: number;
  readonly thread: number;
  readonly event: number;
  readonly args: readonly [number, number, number, number];
}

/** @param entries records per thread, a power of two; 0 leaves tracing out of this machine */
export function declareTrace(
  builder: ArenaBuilder,
  entries: number = TRACE_ENTRIES_DEFAULT,
): TraceTable {
  assert((entries & (entries - 1)) === 0, 'trace entries must be a power of two');
  const rows = THREADS_MAX * entries;
  const { head } = builder.columns('trace.head', { head: 'i32' }, THREADS_MAX * LINE_WORDS);
  const { records } = builder.columns('trace.records', { records: 'i32' }, rows * RECORD_WORDS);
  const { times } = builder.columns('trace.times', { times: 'f64' }, rows);
  return { head, records, times, entries };
}

let on = false;
let table: TraceTable | null = null;
let thread = 0;
let next = 0;

/**
 * Binds this thread to its ring.
 * @param id this thread's id @param enabled false: traceEvent does nothing
 * @context once per worker; again to switch
 */
export function enterTrace(trace: TraceTable, id: number, enabled: boolean): void {
  assert(id >= 0 && id < THREADS_MAX, 'thread id out of range');
  table = trace;
  thread = id;
  next = Atomics.load(trace.head, id * LINE_WORDS);
  on = enabled && trace.entries > 0;
}

/** Whether this thread records events: for callers whose arguments cost something to compute. */
export function traceOn(): boolean {
  return on;
}

/**
 * Records an event, overwriting the oldest.
 * @param event id by the caller's table @param a0..a3 any i32
 * @context any thread after enterTrace; one branch when off; never waits
 */
export function traceEvent(event: number, a0 = 0, a1 = 0, a2 = 0, a3 = 0): void {
  if (on) writeEvent(event, a0, a1, a2, a3);
}

function writeEvent(event: number, a0: number, a1: number, a2: number, a3: number): void {
  const { head, records, times, entries } = table as TraceTable;
  const slot = thread * entries + (next & (entries - 1));
  const at = slot * RECORD_WORDS;
  const seq = (next + 1) | 0;
  records[at + SEQ_BEGIN] = seq;
  records[at + EVENT] = event;
  records[at + ARG0] = a0;
  records[at + ARG0 + 1] = a1;
  records[at + ARG0 + 2] = a2;
  records[at + ARG0 + 3] = a3;
  times[slot] = ktimeSharedMs();
  records[at + SEQ_END] = seq;
  next = seq;
  Atomics.store(head, thread * LINE_WORDS, seq); // PAIRS(trace-ring): after the record's words
}

/** Reads what one thread writes. Any thread may own a drain; a ring may have several. */
export class TraceDrain {
  readonly #table: TraceTable;
  readonly #thread: number;
  #next: number;
  #lost = 0;

  /** @param id thread whose ring to read; starts at the oldest record that is still there */
  constructor(trace: TraceTable, id: number) {
    assert(id >= 0 && id < THREADS_MAX, 'thread id out of range');
    this.#table = trace;
    this.#thread = id;
    const head = Atomics.load(trace.head, id * LINE_WORDS);
    this.#next = head >>> 0 < trace.entries ? 0 : (head - trace.entries + 1) | 0;
  }

  /** Records that were overwritten before this drain came to them. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Hands over every whole record since the last call, oldest first, up to the head at the call.
   * @returns how many
   * @context any thread; the writer is not stopped
   */
  drain(sink: (event: TraceEvent) => void): number {
    const { head, entries } = this.#table;
    if (entries === 0) return 0;
    const end = Atomics.load(head, this.#thread * LINE_WORDS); // PAIRS(trace-ring)
    let drained = 0;
    while (this.#next !== end) {
      const behind = (end - this.#next) | 0;
      if (behind >= entries) this.#skip(behind - entries + 1);
      const event = this.#read(this.#next);
      this.#next = (this.#next + 1) | 0;
      if (event === null) this.#lost++;
      else {
        drained++;
        sink(event);
      }
    }
    return drained;
  }

  #skip(count: number): void {
    this.#next = (this.#next + count) | 0;
    this.#lost += count;
  }

  #at(index: number): number {
    const { entries } = this.#table;
    return (this.#thread * entries + (index & (entries - 1))) * RECORD_WORDS;
  }

  /** @returns the record, null when the writer has come round to it */
  #read(index: number): TraceEvent | null {
    const { head, records, times, entries } = this.#table;
    const at = this.#at(index);
    const seq = (index + 1) | 0;
    if (Atomics.load(records, at + SEQ_END) !== seq) return null;
    const event = records[at + EVENT] as number;
    const a0 = records[at + ARG0] as number;
    const a1 = records[at + ARG0 + 1] as number;
    const a2 = records[at + ARG0 + 2] as number;
    const a3 = records[at + ARG0 + 3] as number;
    const timeMs = times[at / RECORD_WORDS] as number;
    if (Atomics.load(records, at + SEQ_BEGIN) !== seq) return null;
    const ahead = (Atomics.load(head, this.#thread * LINE_WORDS) - index) | 0;
    if (ahead >= entries) return null;
    return { timeMs, thread: this.#thread, event, args: [a0, a1, a2, a3] };
  }
}
