// SPDX-License-Identifier: MIT
/** The result of a litmus test, and its table of outcomes as text. */

/** What the memory model says of an outcome. */
export type LitmusVerdict = 'allowed' | 'interesting' | 'forbidden';

/** One row of the table. */
export interface LitmusRow {
  /** Registers as text. */
  readonly outcome: string;
  readonly verdict: LitmusVerdict;
  /** How often it was seen. */
  readonly count: number;
}

/** What `litmus` found. */
export interface LitmusResult {
  readonly name: string;
  readonly question: string;
  /** No forbidden outcome was seen. */
  readonly passed: boolean;
  /** Aborted before its time. */
  readonly interrupted: boolean;
  /** Instances run. */
  readonly samples: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
  /**
   * Part of the time, 0 .. 1, in which the threads were at the same instances. Where it is small,
   * they took turns on too few cores, and an outcome that was not seen says little.
   */
  readonly sideBySide: number;
  readonly threads: number;
  readonly seed: number;
  /** Forbidden outcomes first, then interesting ones, then the rest. */
  readonly rows: readonly LitmusRow[];
  readonly node: string;
  readonly arch: string;
}

const ORDER: readonly LitmusVerdict[] = ['forbidden', 'interesting', 'allowed'];

/** Rows of every outcome that was seen or listed. */
export function litmusRows(
  counts: ReadonlyMap<string, number>,
  allowed: readonly string[],
  interesting: readonly string[],
  forbidden: readonly string[],
): LitmusRow[] {
  const verdictOf = (outcome: string): LitmusVerdict => {
    if (interesting.includes(outcome)) return 'interesting';
    return allowed.includes(outcome) ? 'allowed' : 'forbidden';
  };
  const all = new Set([...forbidden, ...interesting, ...allowed, ...counts.keys()]);
  const rows = [...all].sort().map((outcome) => {
    return { outcome, verdict: verdictOf(outcome), count: counts.get(outcome) ?? 0 };
  });
  return ORDER.flatMap((verdict) => rows.filter((row) => row.verdict === verdict));
}

/**
 * The table as text: a line about the test, then one per outcome.
 * @returns lines that end with a newline
 */
export function formatLitmus(result: LitmusResult): string {
  const { name, question, samples, samplesPerSecond, sideBySide, passed } = result;
  const rate = (samplesPerSecond / 1e6).toFixed(2);
  const verdict = passed ? 'ok' : 'FORBIDDEN OUTCOME SEEN';
  const pace = `${Math.round(100 * sideBySide)} % side by side`;
  const lines = [
    question === '' ? name : `${name}: ${question}`,
    `  ${samples} samples, ${rate} M/s, ${pace}: ${verdict}`,
  ];
  const width = Math.max(...result.rows.map(({ count }) => String(count).length), 1);
  for (const { outcome, verdict: what, count } of result.rows) {
    const mark = what === 'forbidden' && count > 0 ? '  !!!' : '';
    lines.push(`  ${String(count).padStart(width)}  ${outcome}  ${what}${mark}`);
  }
  return `${lines.join('\n')}\n`;
}
