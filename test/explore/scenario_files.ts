// SPDX-License-Identifier: GPL-2.0-only
/**
 * The scenario files of this folder, as the tests run them, and the table that docs/exploration.md
 * shows of a run.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ExploreReport } from '../../dist/src/harness/index.js';

const FOLDER = new URL('./', import.meta.url);
const DOCUMENT = new URL('../../docs/exploration.md', import.meta.url);
const MARKS = ['<!-- results -->\n', '<!-- end of results -->'] as const;

/** One way in which a subject is used: see subject.mjs. */
export interface Variant {
  readonly says: string;
  readonly threads: readonly unknown[];
  readonly preemptions?: number;
  /** One of `more` that the suite runs too, for a while and by chance. */
  readonly brief?: boolean;
}

/** A planted bug. */
export interface Plant {
  readonly says: string;
  readonly variant?: string;
}

export interface Exploration {
  readonly subject: string;
  readonly asserts: string;
  /** false: nothing that is shared is accessed plainly. */
  readonly plainData?: boolean;
  /** Packages whose plain accesses are made visible too. */
  readonly include?: readonly string[];
  readonly variants: Readonly<Record<string, Variant>>;
  /** Those of a campaign: scripts/explore_campaign.mjs. */
  readonly more?: Readonly<Record<string, Variant>>;
  readonly plants: Readonly<Record<string, Plant>>;
}

export interface ScenarioFile {
  readonly url: URL;
  readonly name: string;
  readonly exploration: Exploration;
}

/** What a run of one variant came to. */
export interface Row {
  readonly file: string;
  readonly variant: string;
  readonly executions: number;
  readonly deepest: number;
  readonly wallMs: number;
}

/** Every scenario of the folder, by name. */
export async function scenarioFiles(): Promise<ScenarioFile[]> {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.scenario.mjs'));
  return await Promise.all(
    names.sort().map(async (name) => {
      const url = new URL(name, FOLDER);
      const { exploration } = (await import(url.href)) as { exploration: Exploration };
      return { url, name, exploration };
    }),
  );
}

/** The scenario with a variant or a plant chosen. */
export function chosen(file: ScenarioFile, query: Record<string, string>): URL {
  return new URL(`?${new URLSearchParams(query)}`, file.url);
}

export function rowOf(file: ScenarioFile, variant: string, report: ExploreReport): Row {
  const { executions, wallMs, figures } = report;
  return { file: file.name, variant, executions, deepest: Number(figures.deepest), wallMs };
}

/** The results as Markdown: a section per subject. */
export function formatResults(
  files: readonly ScenarioFile[],
  rows: readonly Row[],
  found: ReadonlyMap<string, number>,
): string {
  return files.map((file) => formatFile(file, rows, found)).join('\n');
}

function formatFile(
  { name, exploration }: ScenarioFile,
  rows: readonly Row[],
  found: ReadonlyMap<string, number>,
): string {
  const { subject, asserts, variants, plants, plainData = true } = exploration;
  const lines = [`### ${subject}`, '', `\`test/explore/${name}\`: ${asserts}.`, ''];
  if (plainData) lines.push('Plain accesses are scheduling points; none races.', '');
  lines.push('| `?variant=` | is | threads | preemptions | executions | longest, steps |');
  lines.push('|---|---|--:|--:|--:|--:|');
  for (const row of rows.filter(({ file }) => file === name)) {
    const { says, threads, preemptions } = variants[row.variant] as Variant;
    const bound = preemptions === undefined ? 'all' : `at most ${preemptions}`;
    const executions = row.executions.toLocaleString('en');
    const cells = [`\`${row.variant}\``, says, threads.length, bound, executions, row.deepest];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  lines.push('', '| `?plant=` | planted | found by execution |', '|---|---|--:|');
  for (const [plant, { says }] of Object.entries(plants)) {
    lines.push(`| \`${plant}\` | ${says} | ${found.get(`${name}?${plant}`) ?? '-'} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** Puts results between the marks of docs/exploration.md. */
export function writeResults(results: string): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(MARKS[0]) + MARKS[0].length, text.indexOf(MARKS[1])];
  writeFileSync(DOCUMENT, `${text.slice(0, from)}\n${results}\n${text.slice(to)}`);
}

/** The document, for the test that it speaks of every scenario. */
export function documentText(): string {
  return readFileSync(DOCUMENT, 'utf8');
}
