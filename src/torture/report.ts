// SPDX-License-Identifier: GPL-2.0-only
/** The torture report (`kreclaim.torture/1`), and its text. */
import type { GroupReport, TypeReport } from './run.ts';

export const TORTURE_SCHEMA = 'kreclaim.torture/1';

/** What `kreclaim torture` found. */
export interface TortureReport {
  readonly schema: typeof TORTURE_SCHEMA;
  readonly version: string;
  readonly seed: number;
  /** As asked for, for all groups together. */
  readonly seconds: number;
  readonly threads: number;
  readonly node: string;
  readonly cpus: number;
  /** Null where nothing failed, and not all could run to its end. */
  readonly passed: boolean | null;
  readonly interrupted: boolean;
  readonly groups: readonly GroupReport[];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** What the broken variant came to, in a line. */
function bustedLine({ busted }: TypeReport): string {
  if (busted === null) return 'busted: interrupted';
  const { what, caught, ms, how } = busted;
  if (!caught) return `busted (${what}): NOT CAUGHT in ${seconds(ms)} !!!`;
  const first = how.split('\n')[0] as string;
  return `busted (${what}): caught in ${seconds(ms)}: ${first}`;
}

/** A type as text. @returns lines without an end */
export function typeLines(group: string, type: TypeReport): string[] {
  const { name, result, lines, counts, failures, threads, ms } = type;
  if (result === null) return [`${group} ${name}: not run`];
  const on = threads > 0 ? `, ${threads} threads` : '';
  // Too short a time, or too slow a machine: what is recounted at rest was not.
  const never = result === 'SUCCESS' && counts.barriers === 0 ? ' (never at rest)' : '';
  return [
    `${group} ${name}: ${result}${never} (${seconds(ms)}${on})`,
    ...lines.map((line) => `    ${line}`),
    ...failures.flatMap((text) => text.split('\n').map((line) => `    !!! ${line}`)),
    `    ${bustedLine(type)}`,
  ];
}

const verdictOf = (passed: boolean | null): string => {
  if (passed === null) return 'interrupted, nothing failed';
  return passed ? 'SUCCESS' : 'FAILURE';
};

/** The whole as text: every type, a line for each group, the verdict last. */
export function formatTortureReport(report: TortureReport): string {
  const lines: string[] = [];
  for (const { group, types, passed, seconds: took } of report.groups) {
    for (const type of types) lines.push(...typeLines(group, type));
    const run = types.filter(({ result }) => result !== null);
    const held = run.filter(({ result }) => result === 'SUCCESS').length;
    const of = run.length === types.length ? '' : ` of ${types.length} types`;
    lines.push(
      `${group}: ${verdictOf(passed)}: ${held}/${run.length} held${of}, ${took.toFixed(1)} s`,
    );
  }
  const notes = report.interrupted && report.passed !== null ? ' (interrupted)' : '';
  lines.push(`torture: ${verdictOf(report.passed)}${notes}, seed ${report.seed}`);
  return `${lines.join('\n')}\n`;
}
