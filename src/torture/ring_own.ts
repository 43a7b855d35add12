// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of what each thread writes for itself and others read meanwhile: trace rings, per-thread
 * counters, histograms. Half of the threads write, half read; at the end nothing is missing.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import {
  declareHistograms,
  HistogramMerge,
  type HistogramTable,
  histogramAdd,
} from '../../shared/histogram.ts';
import {
  declarePercpuEvents,
  declarePercpuState,
  PercpuEvents,
  type PercpuEventTable,
  PercpuState,
  type PercpuStateTable,
  percpuEventSum,
  percpuStateRead,
  percpuStateReadExact,
  STATE_THRESHOLD,
} from '../../shared/percpu.ts';
import {
  declareTrace,
  enterTrace,
  TraceDrain,
  type TraceEvent,
  type TraceTable,
  traceEvent,
} from '../../shared/trace_ring.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import {
  countsOf,
  type RoleTally,
  statistics,
  sumOf,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';

const halves = (threads: number): string[] =>
  Array.from({ length: threads }, (_, at) => (at % 2 === 0 ? 'writer' : 'reader'));

// ---- Trace rings

const ENTRIES = 16;

/** The arguments of record n say n in three ways, so that a torn record shows. */
const second = (n: number): number => ~n;
const third = (n: number): number => Math.imul(n, 0x9e3779b1);

/** Reads records without asking whether the writer has come round. */
class BrokenDrain {
  readonly #table: TraceTable;
  readonly #thread: number;
  readonly #gap: () => void;
  readonly lost = 0;

  constructor(table: TraceTable, thread: number, gap: () => void) {
    this.#table = table;
    this.#thread = thread;
    this.#gap = gap;
  }

  drain(sink: (event: TraceEvent) => void): number {
    const { head, records } = this.#table;
    const end = Atomics.load(head, this.#thread * LINE_WORDS);
    if (end === 0) return 0;
    const at = (this.#thread * ENTRIES + (end & (ENTRIES - 1))) * 8;
    const a0 = Atomics.load(records, at + 2);
    this.#gap();
    const [a1, a2] = [Atomics.load(records, at + 3), Atomics.load(records, at + 4)];
    if (end > ENTRIES) sink({ timeMs: 0, thread: 0, event: 1, args: [a0, a1, a2, 0] });
    return 1;
  }
}

function traceReader(t: TraceTable, ctx: TortureContext): Tally {
  const from = ctx.id - 1;
  const drain = ctx.busted ? new BrokenDrain(t, from, () => ctx.gap()) : new TraceDrain(t, from);
  let last = -1;
  let drained = 0;
  const sink = ({ args: [n, a1, a2] }: TraceEvent): void => {
    drained++;
    if (a1 !== second(n) || a2 !== third(n)) ctx.fail(`record ${n} is torn`);
    if (!ctx.busted && n <= last) ctx.fail(`record ${n} came after ${last}`);
    last = n;
  };
  while (ctx.turn()) {
    drain.drain(sink);
    ctx.hold(1 << 14);
  }
  return { drained, lost: drain.lost };
}

function traceBody(t: TraceTable, ctx: TortureContext): Tally {
  if (ctx.role === 'reader') return traceReader(t, ctx);
  enterTrace(t, ctx.id, true);
  let written = 0;
  while (ctx.turn()) {
    for (let i = ctx.prng.below(2 * ENTRIES); i >= 0; i--) {
      traceEvent(1, written, second(written), third(written));
      written++;
    }
    if (!ctx.busted) ctx.hold();
  }
  return { written };
}

const TRACE: TortureType<TraceTable> = {
  name: 'trace_ring',
  busted: 'a record is read without asking whether it was overwritten',
  threadsMultiple: 2,
  roles: halves,
  declare: (builder) => declareTrace(builder, ENTRIES),
  body: traceBody,
  judge: (t, tallies) => {
    const written = countsOf(tallies, 'writer', 'written');
    const drained = countsOf(tallies, 'reader', 'drained');
    const failures: string[] = [];
    // What was written after a reader went is still there, or was overwritten by then.
    for (const [at, { role, tally }] of tallies.entries()) {
      if (role !== 'reader') continue;
      const rest = new TraceDrain(t, at);
      const left = rest.drain(() => {});
      const all = tallies[at - 1]?.tally.written as number;
      const seen = (tally.drained as number) + (tally.lost as number);
      if (seen > all) failures.push(`${seen} of ${all} records drained or lost`);
      if (left === 0 && all > 0) failures.push('an end without its last records');
    }
    const lines = [statistics('Written', written, failures.length), statistics('Read', drained, 0)];
    return { lines, failures, counts: { written, drained, lost: sumOf(tallies, 'lost') } };
  },
};

// ---- Per-thread counters: events, which only grow, and states, which go up and down.

const NR = 5;
const STEP_MAX = 50;

interface CounterTables {
  readonly events: PercpuEventTable;
  readonly state: PercpuStateTable;
}

function declareCounters(builder: ArenaBuilder): CounterTables {
  return {
    events: declarePercpuEvents(builder, 'torture.events', NR),
    state: declarePercpuState(builder, 'torture.state', NR),
  };
}

/** Broken: all threads write one row. */
const rowOf = (ctx: TortureContext): number => (ctx.busted ? 1 : ctx.id);

function eventsBody(t: CounterTables, ctx: TortureContext): Tally {
  const mine = new PercpuEvents(t.events, rowOf(ctx));
  const seen = new Array<number>(NR).fill(0);
  let [added, reads] = [0, 0];
  while (ctx.turn()) {
    const index = ctx.prng.below(NR);
    const before = mine.own(index);
    if (ctx.rarely(2)) mine.inc(index);
    else mine.add(index, ctx.prng.below(STEP_MAX));
    ctx.hold(1 << 16);
    added += mine.own(index) - before;
    if (!ctx.rarely(8)) continue;
    const sum = percpuEventSum(t.events, index);
    if (sum < (seen[index] as number)) ctx.fail(`a sum fell from ${seen[index]} to ${sum}`);
    seen[index] = sum;
    reads++;
  }
  return { added, reads };
}

function judgeEvents(t: CounterTables, tallies: readonly RoleTally[]): Verdict {
  const added = tallies.map(({ tally }) => tally.added as number);
  const want = added.reduce((sum, one) => sum + one, 0);
  let got = 0;
  for (let index = 0; index < NR; index++) got += percpuEventSum(t.events, index);
  const failures = got === want ? [] : [`${want} counted, the sum is ${got}`];
  const lines = [statistics('Counted', added, failures.length)];
  return { lines, failures, counts: { added, reads: sumOf(tallies, 'reads') } };
}

const EVENTS: TortureType<CounterTables> = {
  name: 'percpu_events',
  busted: 'threads share a row',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareCounters,
  body: eventsBody,
  judge: judgeEvents,
};

/** Each thread lends at most STEP_MAX at a time and gives it back: the sum is bounded. */
function stateBody(t: CounterTables, ctx: TortureContext): Tally {
  const mine = new PercpuState(t.state, rowOf(ctx), 1 + ctx.prng.below(STATE_THRESHOLD));
  const most = ctx.threads * (STEP_MAX + STATE_THRESHOLD + STEP_MAX);
  let [turns, net] = [0, 0];
  while (ctx.turn()) {
    const index = ctx.prng.below(NR);
    const delta = ctx.prng.below(STEP_MAX);
    mine.add(index, delta);
    ctx.hold(1 << 16);
    mine.add(index, -delta);
    if (ctx.rarely(64)) mine.fold();
    if (ctx.rarely(16)) {
      mine.add(0, 1);
      net++;
    }
    const seen = percpuStateRead(t.state, 1 + ctx.prng.below(NR - 1));
    if (Math.abs(seen) > most) ctx.fail(`a counter of at most ${most} reads ${seen}`);
    turns++;
  }
  return { turns, net };
}

const STATE: TortureType<CounterTables> = {
  name: 'percpu_state',
  busted: 'threads share a row',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareCounters,
  body: stateBody,
  judge: (t, tallies) => {
    const turns = tallies.map(({ tally }) => tally.turns as number);
    const failures: string[] = [];
    for (let index = 0; index < NR; index++) {
      const want = index === 0 ? sumOf(tallies, 'net') : 0;
      const got = percpuStateReadExact(t.state, index);
      if (got !== want) failures.push(`counter ${index} is ${got} at the end, not ${want}`);
    }
    return { lines: [statistics('Turns', turns, failures.length)], failures, counts: { turns } };
  },
};

// ---- Histograms

function histogramBody(t: HistogramTable, ctx: TortureContext): Tally {
  let [added, seen] = [0, 0];
  while (ctx.turn()) {
    if (ctx.role === 'writer') {
      for (let i = 0; i < 32; i++, added++) {
        histogramAdd(t, ctx.busted ? 0 : ctx.id, ctx.prng.below(1 << (1 + ctx.prng.below(30))));
      }
      continue;
    }
    const merge = new HistogramMerge();
    for (let row = 0; row < t.rows; row++) merge.addRow(t, row);
    if (merge.count < seen) ctx.fail(`a count fell from ${seen} to ${merge.count}`);
    seen = merge.count;
    ctx.nap(0.2);
  }
  return { added };
}

const HISTOGRAM: TortureType<HistogramTable> = {
  name: 'histogram',
  busted: 'threads share a row',
  threadsMin: 3,
  roles: (threads) => ['reader', ...new Array<string>(threads - 1).fill('writer')],
  declare: (builder, threads) => declareHistograms(builder, 'torture.histogram', threads + 1),
  body: histogramBody,
  judge: (t, tallies) => {
    const added = countsOf(tallies, 'writer', 'added');
    const want = sumOf(tallies, 'added');
    const merge = new HistogramMerge();
    for (let row = 0; row < t.rows; row++) merge.addRow(t, row);
    const failures = merge.count === want ? [] : [`${want} added, ${merge.count} counted`];
    return { lines: [statistics('Added', added, failures.length)], failures, counts: { added } };
  },
};

/** What threads write for themselves. */
export const OWN_ROW_TYPES = [TRACE, EVENTS, STATE, HISTOGRAM];
