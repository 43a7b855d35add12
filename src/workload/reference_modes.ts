// SPDX-License-Identifier: GPL-2.0-only
/**
 * What real kernels did with the traces where pages are of files too, or swap is a file: the rows
 * of `reproduce reference` beside the anonymous ones (reference.ts, whose two kinds of files carry
 * these rows as well: `modes` in a compact one).
 *
 *   mixed      sidecar's kinds, swap on zram: refaults of anonymous pages and of files
 *   file       one shared mapping, no swap: refaults, stores that fault, pages written back
 *   swapfile   anonymous, swap in a file: refaults, major faults, pages read ahead
 */
import * as v from 'valibot';
import { groupBy, kernelLabel, parse, readReferenceJson } from './reference.ts';
import { median } from './trace_stats.ts';

export const REFERENCE_MODES = ['mixed', 'file', 'swapfile'] as const;
export type ReferenceMode = (typeof REFERENCE_MODES)[number];

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const positive = v.pipe(v.number(), v.minValue(0));
const name = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/, 'not a plain name'));
const frac = v.pipe(v.number(), v.gtValue(0), v.maxValue(1));

const figureSchema = v.object({ median: positive, min: positive, max: positive, n: count });

const rowSchema = v.object({
  trace: name,
  mode: v.picklist(REFERENCE_MODES),
  /** vm.page-cluster, where it matters: swap in a file. */
  pageCluster: v.nullable(count),
  /** Limit as a part of the footprint, and in pages. */
  frac,
  limitPages: count,
  /** Distinct pages of the trace. */
  pages: count,
  /** Pages of the limit that the kernel itself had at the end. */
  kernelPages: count,
  kernels: v.pipe(
    v.array(v.object({ kernel: v.string(), figures: v.record(v.string(), figureSchema) })),
    v.minLength(1),
  ),
});

/** Median and range over runs. */
export type Figure = v.InferOutput<typeof figureSchema>;
export type ModeRow = v.InferOutput<typeof rowSchema>;

const headSchema = v.object({
  mode: v.string(),
  variant: v.string(),
  pressure: v.string(),
  policy: v.string(),
});

const runSchema = v.object({
  trace: name,
  mode: v.picklist(['anon', 'mixed', 'file']),
  frac,
  machine: v.string(),
  kernel: v.string(),
  policy: v.picklist(['classic', 'mglru']),
  pagecluster: v.optional(v.nullable(v.string())),
  limitPages: count,
  pages: count,
  majflt: count,
  minflt: count,
  kmemEndPages: count,
  vmstat: v.object({
    workingset_refault_anon: count,
    workingset_refault_file: count,
    nr_written: count,
    swap_ra: count,
  }),
});
type Run = v.InferOutput<typeof runSchema>;

/** The figures of a mode, of one run. */
export function figuresOf(mode: ReferenceMode, run: Omit<Run, 'mode'>): Record<string, number> {
  const { vmstat, majflt, minflt, pages } = run;
  if (mode === 'mixed') {
    const { workingset_refault_anon: anon, workingset_refault_file: file } = vmstat;
    return { 'refaults anon': anon, 'refaults file': file };
  }
  if (mode === 'file') {
    const refaults = Math.max(majflt - pages, 0);
    return { refaults, 'store faults': minflt, 'pages written': vmstat.nr_written };
  }
  return {
    refaults: vmstat.workingset_refault_anon,
    'major faults': majflt,
    'read ahead': vmstat.swap_ra,
  };
}

/** @returns the mode that a row of a full file belongs to, null for none of these */
function modeOf({ mode, variant, pressure, policy }: v.InferOutput<typeof headSchema>) {
  if (pressure !== 'memcg' || policy !== 'classic') return null;
  if (mode === 'anon' && variant === 'swapfile') return 'swapfile';
  return variant === '' && (mode === 'mixed' || mode === 'file') ? mode : null;
}

/** Median and range of a figure over runs. */
export function figure(values: readonly number[]): Figure {
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    n: values.length,
  };
}

/** Folds the figures of several runs, name by name. */
export function foldFigures(runs: readonly Record<string, number>[]): Record<string, Figure> {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((key) => [key, figure(runs.map((run) => run[key] ?? 0))]));
}

interface Found {
  readonly mode: ReferenceMode;
  readonly run: Run;
}

/** Folds the runs of one trace at one limit in one mode. */
function foldCell(cell: readonly Found[]): ModeRow {
  const [{ mode, run: first }] = cell as [Found];
  const runs = cell.map(({ run }) => run);
  const kernels = [...groupBy(runs, kernelLabel)].map(([kernel, group]) => ({
    kernel,
    figures: foldFigures(group.map((run) => figuresOf(mode, run))),
  }));
  return {
    trace: first.trace,
    mode,
    pageCluster: mode === 'swapfile' ? Number(first.pagecluster ?? 3) : null,
    frac: first.frac,
    limitPages: first.limitPages,
    pages: first.pages,
    kernelPages: Math.floor(median(runs.map((run) => run.kmemEndPages))),
    kernels,
  };
}

function foldFull(file: string, data: unknown): ModeRow[] {
  const { rows } = parse(file, '', v.object({ rows: v.array(v.unknown()) }), data);
  const found: Found[] = [];
  for (const [index, row] of rows.entries()) {
    const place = `rows.${index}`;
    const mode = modeOf(parse(file, place, headSchema, row));
    if (mode === null || 'failed' in (row as object)) continue;
    found.push({ mode, run: parse(file, place, runSchema, row) });
  }
  const keyOf = ({ mode, run }: Found): string =>
    `${run.trace} ${mode} ${mode === 'swapfile' ? run.pagecluster : ''} ${run.frac}`;
  return [...groupBy(found, keyOf).values()].map(foldCell);
}

/**
 * Reads the reference figures of files and of swap in a file.
 * @param path as `readReference` takes it
 * @returns rows by trace, mode and limit; none where the file has none; throws UsageError for what
 *   is no reference file
 * @context main thread; suspends
 */
export async function readModeRows(path: string): Promise<ModeRow[]> {
  const { compact, data } = await readReferenceJson(path);
  const schema = v.object({ modes: v.optional(v.array(rowSchema), []) });
  const rows = compact ? parse(path, '', schema, data).modes : foldFull(path, data);
  const keyOf = (row: ModeRow): string =>
    `${row.trace} ${REFERENCE_MODES.indexOf(row.mode)} ${row.pageCluster} ${row.frac}`;
  return rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
