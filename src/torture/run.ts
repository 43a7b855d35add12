// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs a group of torture types one after another, each for its share of the time: first the broken
 * variant, until its checkers catch it, then the real one, which must hold for the rest.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { type TortureType, threadsOf } from './job.ts';
import { HANG_MS, type JobResult, TorturePool } from './pool.ts';

/** How a group is run. */
export interface GroupOptions {
  /** Of the whole group. */
  readonly seconds: number;
  readonly threads: number;
  readonly seed: number;
  /** Types by name; null for all. */
  readonly only?: readonly string[] | null;
  readonly signal?: AbortSignal;
  /** Threads that make no turn for so long hang. Default: the type's, else HANG_MS. */
  readonly hangMs?: number;
  /** Tries at the broken variant, in milliseconds. Default: the type's, else BUSTED_MS. */
  readonly bustedMs?: readonly number[];
  /** Called when a phase of a type begins. */
  readonly onPhase?: (type: string, phase: string) => void;
  /** Called when a type is done. */
  readonly onType?: (report: TypeReport) => void;
}

/** What the broken variant of a type came to. */
export interface BustedReport {
  /** What is broken in it. */
  readonly what: string;
  readonly caught: boolean;
  readonly ms: number;
  /** The first check that failed; empty when none did. */
  readonly how: string;
}

/** What a type came to. */
export interface TypeReport {
  readonly name: string;
  /** `interrupted`: nothing failed until then; null: interrupted before the type's turn. */
  readonly result: 'SUCCESS' | 'FAILURE' | 'interrupted' | null;
  readonly threads: number;
  readonly ms: number;
  readonly lines: readonly string[];
  readonly counts: JobResult['counts'];
  readonly failures: readonly string[];
  readonly busted: BustedReport | null;
}

/** What a group came to. */
export interface GroupReport {
  readonly group: string;
  /** Null where nothing failed, and not all types could run to their end. */
  readonly passed: boolean | null;
  readonly seconds: number;
  readonly types: readonly TypeReport[];
}

/** @returns what a type came to that ran @param cut the run was interrupted before its end */
export function resultOf(failures: readonly string[], cut: boolean): TypeReport['result'] {
  if (failures.length > 0) return 'FAILURE';
  return cut ? 'interrupted' : 'SUCCESS';
}

/** @returns true when all held, false when one failed, else null */
export function allHeld(types: readonly Pick<TypeReport, 'result'>[]): boolean | null {
  if (types.some(({ result }) => result === 'FAILURE')) return false;
  return types.every(({ result }) => result === 'SUCCESS') ? true : null;
}

/**
 * A broken variant has so many tries, in milliseconds, to be caught: some checks are made at the
 * end, so short ones come first.
 */
const BUSTED_MS = [200, 600, 1500, 4000];

/** Runs a type's broken variant. @returns null when interrupted before it was caught */
async function runBusted(
  pool: TorturePool,
  type: TortureType,
  options: GroupOptions,
): Promise<BustedReport | null> {
  const { threads, seed, signal = null } = options;
  const hangMs = options.hangMs ?? type.hangMs ?? HANG_MS;
  const startNs = ktimeNs();
  let how = '';
  for (const [attempt, ms] of (options.bustedMs ?? type.bustedMs ?? BUSTED_MS).entries()) {
    if (signal?.aborted === true) return null;
    const job = { threads, seed: seed + attempt, ms, busted: true, signal, hangMs };
    const result = await pool.run(type, job);
    how = result.failures[0] ?? '';
    if (how !== '') break;
  }
  if (how === '' && signal?.aborted === true) return null;
  const ms = (ktimeNs() - startNs) / 1e6;
  return { what: type.busted, caught: how !== '', ms, how };
}

async function runType(
  pool: TorturePool,
  type: TortureType,
  options: GroupOptions,
  shareMs: number,
): Promise<TypeReport> {
  const { threads, seed, signal = null } = options;
  const hangMs = options.hangMs ?? type.hangMs ?? HANG_MS;
  const startNs = ktimeNs();
  options.onPhase?.(type.name, 'busted');
  const busted = await runBusted(pool, type, options);
  options.onPhase?.(type.name, 'torture');
  const ms = Math.max(20, shareMs - (ktimeNs() - startNs) / 1e6);
  const result = await pool.run(type, { threads, seed, ms, busted: false, signal, hangMs });
  const missed = busted !== null && !busted.caught;
  const failures = missed
    ? [...result.failures, `the broken variant (${type.busted}) was not caught`]
    : result.failures;
  return {
    name: type.name,
    result: resultOf(failures, signal?.aborted === true),
    threads: threadsOf(type, threads),
    ms: result.ms,
    lines: result.lines,
    counts: result.counts,
    failures,
    busted,
  };
}

function notRun(type: TortureType): TypeReport {
  const none = { threads: 0, ms: 0, lines: [], counts: {}, failures: [], busted: null };
  return { name: type.name, result: null, ...none };
}

/**
 * Runs every type of a group.
 * @param module exports `types`
 * @returns a report of each; failures are in it, not thrown
 */
export async function runTypes(
  group: string,
  module: URL,
  options: GroupOptions,
): Promise<GroupReport> {
  const all = ((await import(module.href)) as { types: readonly TortureType[] }).types;
  const { only = null, signal } = options;
  const chosen = all.filter(({ name }) => only === null || only.includes(name));
  const pool = new TorturePool(module);
  const startNs = ktimeNs();
  const types: TypeReport[] = [];
  try {
    for (const [at, type] of chosen.entries()) {
      const leftMs = options.seconds * 1000 - (ktimeNs() - startNs) / 1e6;
      const shareMs = Math.max(50, leftMs / (chosen.length - at));
      const stopped = signal?.aborted === true;
      const report = stopped ? notRun(type) : await runType(pool, type, options, shareMs);
      types.push(report);
      if (!stopped) options.onType?.(report);
    }
  } finally {
    await pool.close();
  }
  return { group, passed: allHeld(types), seconds: (ktimeNs() - startNs) / 1e9, types };
}
