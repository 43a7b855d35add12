// SPDX-License-Identifier: MIT
/** What an exploration comes to, as data: `kreclaim.explore/1`. */
import type { FailureKind, ThreadReport } from './diagnosis.ts';
import type { ResolvedOptions } from './explore_options.ts';
import type { Entry } from './listing.ts';
import type { LockInversion } from './lock_order.ts';
import type { RaceReport } from './race/race_text.ts';
import { accessPlace } from './race/race_text.ts';
import type { Runs } from './schedule.ts';
import { shownPath } from './stack_frames.ts';

export const EXPLORE_SCHEMA = 'kreclaim.explore/1';

/** One way in which the scenario fails. */
export interface ExploreFailure {
  readonly kind: FailureKind;
  /** One line: what failed. */
  readonly title: string;
  readonly message: string;
  /** Thread whose doing it is; null: nobody's in particular. */
  readonly thread: string | null;
  /** Of what was thrown: its frames, innermost first, as text. */
  readonly stack: readonly string[];
  readonly threads: readonly ThreadReport[];
  /** What else there is to say, a line each. */
  readonly facts: readonly string[];
  /** The same schedule fails again in the same way. */
  readonly reproducible: boolean;
  /** Strategy and seed of the execution that failed. */
  readonly strategy: string;
  readonly seed: number;
  /** Steps and context switches that count, of the schedule below and of the one found. */
  readonly steps: number;
  readonly switches: number;
  readonly found: { readonly steps: number; readonly switches: number };
  /** Executions and ms that shrinking took. */
  readonly shrink: { readonly executions: number; readonly ms: number } | null;
  readonly schedule: Runs;
  readonly hash: number;
  readonly listing: readonly Entry[];
  /** Path of the replay file; null when none was written. */
  readonly replayFile: string | null;
  /** The line that replays it. */
  readonly replayLine: string | null;
  /** The whole report as text. */
  readonly text: string;
}

export interface ExploreReport {
  readonly schema: typeof EXPLORE_SCHEMA;
  readonly mode: 'controlled';
  /** Absolute path of the scenario. */
  readonly scenario: string;
  readonly threads: readonly string[];
  readonly options: ResolvedOptions;
  /** File that was replayed; null when it was explored. */
  readonly replayed: string | null;
  readonly executions: number;
  /** Cut short as equivalent to others. */
  readonly redundant: number;
  readonly steps: number;
  readonly wallMs: number;
  /** Over all executions, in order. */
  readonly hash: number;
  /** The strategy had nothing left to run: all schedules within its bound were. */
  readonly exhausted: boolean;
  readonly interrupted: boolean;
  /** Shared memory of the state. */
  readonly sharedBytes: number;
  /** Pairs of lines that raced, each once; those that are meant have a reason. */
  readonly races: readonly RaceReport[];
  /** Orders in which locks were taken that could deadlock: predictions. */
  readonly inversions: readonly LockInversion[];
  /** What the strategy says of itself. */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly failure: ExploreFailure | null;
}

/** A number with separators of thousands. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** What was run, and what came of it when nothing failed: one line or two. */
export function summaryText(report: ExploreReport): string {
  const { executions, steps, wallMs, options, redundant, replayed } = report;
  const seconds = Math.max(wallMs / 1000, 0.001);
  const rate = `${grouped(executions / seconds)} executions/s, ${grouped(steps / seconds)} steps/s`;
  const cut = redundant > 0 ? ` (${grouped(redundant)} cut short as equivalent to others)` : '';
  const ran =
    `${grouped(executions)} execution${executions === 1 ? '' : 's'}${cut}, ` +
    `${grouped(steps)} steps in ${seconds.toFixed(1)} s (${rate}); ` +
    (replayed === null
      ? `strategy ${options.strategy}, seed ${options.seed}`
      : `replay of ${shownPath(replayed)}`);
  const notes = [report.failure === null ? 'held' : ''];
  if (replayed === null) notes.push(...strategyNotes(report));
  if (report.sharedBytes === 0) {
    notes.push('the state has no SharedArrayBuffer: these threads have nothing in common');
  }
  for (const { reason, times, first, second } of report.races) {
    if (reason === null) continue;
    const lines = `${accessPlace(second)} and ${accessPlace(first)}`;
    notes.push(`a race that is meant: ${lines}, ${grouped(times)} times: ${reason}`);
  }
  for (const { message } of report.inversions) notes.push(`predicted: ${message}`);
  if (report.interrupted) notes.push('interrupted');
  return [ran, ...notes.filter((note) => note !== '')].join('\n');
}

function strategyNotes({ options, exhausted, figures, failure }: ExploreReport): string[] {
  const notes: string[] = [];
  if (options.strategy === 'dfs') {
    const bounded = options.preemptions !== Infinity;
    const bound = bounded ? ` within ${options.preemptions} preemptions` : '';
    const kinds = options.reduction ? `schedule${bound}, or its equal,` : `schedule${bound}`;
    const part = grouped(Number(figures.fraction ?? 0) * 100);
    notes.push(
      exhausted
        ? `every ${kinds} was run`
        : `not every ${kinds} was run: about ${part} % by estimate`,
    );
  }
  // Of strategies in turn, each says its own under its name.
  const pct = (figures.pct ?? figures) as { bound?: number; depth?: number };
  if (failure === null && typeof pct.bound === 'number' && pct.bound > 0) {
    const odds = grouped(1 / pct.bound);
    notes.push(
      `pct: a bug of depth ${pct.depth} shows with probability >= 1 / ${odds} an execution`,
    );
  }
  return notes;
}
