// SPDX-License-Identifier: GPL-2.0-only
/**
 * The bench runner: cases beside their peers, in one run.
 *
 * Vocabulary. A *case* measures one thing and yields operations per second. Its *peer* is the case
 * that it is compared with: bare Atomics, C, an npm package. A *round* runs every case once, in
 * order, so that a slow minute of the machine touches a case and its peer alike. The figure of a
 * case is the median over rounds; its *ratio* is the median over rounds of (its time / its peer's
 * time in the same round), so 1.2 means 20 % slower than the peer. Round 0 warms up and is dropped.
 *
 * Goals: ratios that repeat within a few per cent on a shared machine. Non-goals: absolute figures.
 */
import { setTimeout } from 'node:timers/promises';

/** One measurement. */
export interface BenchCase {
  /** Unique in its run; also what peers refer to. */
  readonly name: string;
  readonly threads: number;
  /** Name of the case that this one is compared with; must be in the same group. */
  readonly peer?: string;
  /** Measures once. @returns operations per second, or NaN when the sample is not usable */
  readonly run: () => Promise<number>;
}

/** Cases whose rounds are interleaved. */
export interface BenchGroup {
  readonly name: string;
  readonly cases: readonly BenchCase[];
}

export interface BenchRow {
  readonly group: string;
  readonly name: string;
  readonly threads: number;
  /** Median over rounds, all threads together. */
  readonly opsPerSec: number;
  /** Slowest and fastest round. */
  readonly opsPerSecMin: number;
  readonly opsPerSecMax: number;
  /** 1e9 / opsPerSec: wall time per operation of all threads together. */
  readonly nsPerOp: number;
  readonly peer: string | null;
  /** Time of this case / time of its peer, median over rounds; null without a peer's sample. */
  readonly ratioToPeer: number | null;
  readonly rounds: number;
}

export interface BenchRunOptions {
  /** Measured rounds, at least 1; one more is run first and dropped. */
  readonly rounds: number;
  /** Aborting it ends the run after the sample under way; whole rounds count. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each round of each group. */
  readonly onRound?: (group: string, round: number, rounds: number) => void;
}

/** Options that every bench group of the project takes. */
export interface BenchOptions {
  /** Thread counts of the contended cases; default [1, 2, 4]. */
  readonly threads?: readonly number[];
  /** Default 5. */
  readonly rounds?: number;
  /** Run the C peers; default true. Without a compiler they are left out with a notice. */
  readonly native?: boolean;
  /** Only groups whose name contains this. */
  readonly only?: string;
  /** Told the name of each group that there is, chosen or not. */
  readonly onGroup?: (name: string) => void;
  /** Aborting it ends the bench early, with the rows of whole rounds. */
  readonly signal?: AbortSignal;
  /** Smoke run: short samples and one round. */
  readonly quick?: boolean;
  /** Where progress and notices go; default nowhere. */
  readonly notice?: (line: string) => void;
}

/** @param values at least one number, NaN ignored @returns the median, NaN when there is none */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Does `--only` let a group of that name run? Whoever asks is told of the group. */
export function wantsGroup(name: string, { only = '', onGroup }: BenchOptions): boolean {
  onGroup?.(name);
  return name.includes(only);
}

/** An interrupt from the terminal ends C peers too, perhaps before it is seen here. */
const INTERRUPT_MS = 50;

/** @returns a sample, or null when the run was interrupted meanwhile @throws as the case */
async function sampleOf({ run }: BenchCase, signal?: AbortSignal): Promise<number | null> {
  const aborted = (): boolean => signal?.aborted === true;
  if (aborted()) return null;
  try {
    const opsPerSec = await run();
    return aborted() ? null : opsPerSec;
  } catch (error) {
    if (signal !== undefined) await setTimeout(INTERRUPT_MS);
    if (!aborted()) throw error;
    return null;
  }
}

/**
 * Runs the groups one after the other, the cases of each in interleaved rounds.
 * @returns one row per case, in the order given; when interrupted, of the rounds that are whole
 * @context the main thread; cases run one at a time
 */
export async function runBench(
  groups: readonly BenchGroup[],
  options: BenchRunOptions,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const group of groups) {
    const samples = new Map<string, number[]>(group.cases.map(({ name }) => [name, []]));
    if (samples.size !== group.cases.length) throw new Error(`${group.name}: a case occurs twice`);
    let done = 0;
    for (let round = 0; round <= options.rounds; round++) {
      const taken = await roundOf(group, options.signal);
      if (taken === null) break;
      if (round > 0) for (const [name, value] of taken) samples.get(name)?.push(value);
      done = round;
      options.onRound?.(group.name, round, options.rounds);
    }
    if (done === 0) break;
    for (const benchCase of group.cases) rows.push(rowOf(group.name, benchCase, samples));
  }
  return rows;
}

type Round = readonly (readonly [name: string, opsPerSec: number])[];

/** @returns a sample of every case, or null when the run was interrupted meanwhile */
async function roundOf(group: BenchGroup, signal?: AbortSignal): Promise<Round | null> {
  const taken: [string, number][] = [];
  for (const benchCase of group.cases) {
    const opsPerSec = await sampleOf(benchCase, signal);
    if (opsPerSec === null) return null;
    taken.push([benchCase.name, opsPerSec]);
  }
  return taken;
}

function rowOf(group: string, benchCase: BenchCase, samples: Map<string, number[]>): BenchRow {
  const mine = samples.get(benchCase.name) ?? [];
  const theirs = benchCase.peer === undefined ? undefined : samples.get(benchCase.peer);
  const ratios = theirs?.map((peer, round) => peer / (mine[round] as number)) ?? [];
  const ratio = median(ratios);
  const opsPerSec = median(mine);
  return {
    group,
    name: benchCase.name,
    threads: benchCase.threads,
    opsPerSec,
    opsPerSecMin: Math.min(...mine),
    opsPerSecMax: Math.max(...mine),
    nsPerOp: 1e9 / opsPerSec,
    peer: benchCase.peer ?? null,
    ratioToPeer: Number.isNaN(ratio) ? null : ratio,
    rounds: mine.length,
  };
}

/** @returns the rows as a table of plain text, one line per case, grouped */
export function formatRows(rows: readonly BenchRow[]): string {
  const lines: string[] = [];
  let group = '';
  for (const row of rows) {
    if (row.group !== group) {
      group = row.group;
      lines.push(
        '',
        group,
        'case                                thr     Mops/s (min..max)        ns',
      );
    }
    const rate = `${mega(row.opsPerSec)} (${mega(row.opsPerSecMin)}..${mega(row.opsPerSecMax)})`;
    const ns = row.nsPerOp.toFixed(row.nsPerOp < 10 ? 2 : 1).padStart(9);
    const peer = row.ratioToPeer === null ? '' : `  ${row.ratioToPeer.toFixed(2)} x ${row.peer}`;
    lines.push(
      `${row.name.padEnd(35)} ${String(row.threads).padStart(3)} ${rate.padStart(24)} ${ns}${peer}`,
    );
  }
  return lines.slice(1).join('\n');
}

function mega(opsPerSec: number): string {
  const millions = opsPerSec / 1e6;
  return millions.toFixed(millions < 10 ? 3 : millions < 100 ? 2 : 1);
}
