// SPDX-License-Identifier: GPL-2.0-only
/**
 * What real kernels and exact policies did with the traces: the figures that `reproduce reference`
 * sets beside ours.
 *
 * Two files carry them. The compact one (traces/reference.json, schema `kreclaim.reference/1`)
 * holds rows as they are used. The full one holds one row a run with every counter of that run,
 * and is folded into the same rows: median over runs, and the range of the refaults. Only what can
 * be compared is taken from it: anonymous memory, a group's limit, the measuring method itself and
 * not its variations.
 *
 * Pages scanned per page reclaimed is a ratio per run, then the median of the ratios. It is taken
 * from the machine's counters: not every cgroup version counts scanning, and where one does the
 * two agree, as nothing else reclaimed during a run.
 */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { inputError, oneLine } from '../errors.ts';
import { fileError } from './trace_bytes.ts';
import { median } from './trace_stats.ts';

export const REFERENCE_SCHEMA = 'kreclaim.reference/1';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const positive = v.pipe(v.number(), v.minValue(0));
const frac = v.pipe(v.number(), v.gtValue(0), v.maxValue(1));
const name = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/, 'not a plain name'));

const kernelSchema = v.object({
  /** Machine, version and policy, such as `host 6.18 classic`. */
  kernel: v.string(),
  policy: v.picklist(['classic', 'mglru']),
  /** Major faults after the first touch of each page; `n` runs. */
  refaults: v.object({ median: positive, min: count, max: count, n: count }),
  /** Pages scanned per page reclaimed; null where nothing was reclaimed. */
  scanPerSteal: v.nullable(positive),
  activate: positive,
  deactivate: positive,
});

const offlineSchema = v.object({ lru: count, fifo: count, clock: count, min: count });

const rowSchema = v.object({
  trace: name,
  mode: v.literal('anon'),
  /** Limit as a part of the footprint, and in pages. */
  frac,
  limitPages: count,
  /** Distinct pages of the trace. */
  pages: count,
  kernels: v.array(kernelSchema),
  /** Refaults of the exact policies at the limit; null where the file has none. */
  offline: v.nullable(offlineSchema),
});

const compactSchema = v.object({
  schema: v.literal(REFERENCE_SCHEMA),
  rows: v.array(rowSchema),
});

export type ReferenceKernel = v.InferOutput<typeof kernelSchema>;
export type ReferenceOffline = v.InferOutput<typeof offlineSchema>;
export type ReferenceRow = v.InferOutput<typeof rowSchema>;

/** The counters of a run that are compared. */
const counters = v.object({
  pgscan_anon: count,
  pgsteal_anon: count,
  pgactivate: count,
  pgdeactivate: count,
});

/** What every row of the full file tells of itself: enough to choose. */
const headSchema = v.object({
  trace: name,
  mode: v.string(),
  variant: v.string(),
  pressure: v.string(),
});

/** A row that was chosen. */
const runSchema = v.object({
  trace: name,
  frac,
  machine: v.string(),
  kernel: v.string(),
  policy: v.picklist(['classic', 'mglru']),
  limitPages: count,
  pages: count,
  majflt: count,
  vmstat: counters,
});
type Run = v.InferOutput<typeof runSchema>;

const refaults = v.object({ refaults: count });
const offlineRowSchema = v.object({
  trace: name,
  frac,
  lru: refaults,
  fifo: refaults,
  clock: refaults,
  min: refaults,
});
type OfflineRow = v.InferOutput<typeof offlineRowSchema>;

const fullSchema = v.object({ rows: v.array(v.unknown()), offline: v.array(v.unknown()) });

const HINT = 'give traces/reference.json or a full file of kernel runs';

/** Validates a value; the error names the place within the file. */
export function parse<Schema extends v.GenericSchema>(
  file: string,
  place: string,
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = [place, v.getDotPath(issue)].filter((part) => part).join('.');
  const position = path === '' ? {} : { position: path };
  throw inputError({ file, ...position, reason: issue.message, hint: HINT });
}

/** Puts values with the same key together, in order of first appearance. */
export function groupBy<Value>(
  values: readonly Value[],
  keyOf: (value: Value) => string,
): Map<string, Value[]> {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

/** `host 6.18 classic`: where it ran, the kernel's version, the policy. */
export function kernelLabel(run: Pick<Run, 'machine' | 'kernel' | 'policy'>): string {
  const where = run.machine.startsWith('host') ? 'host' : 'guest';
  const version = /^\d+\.\d+/.exec(run.kernel)?.[0] ?? oneLine(run.kernel, 32);
  return `${where} ${version} ${run.policy}`;
}

/** Folds the runs of one kernel in one cell. */
function foldKernel(kernel: string, runs: readonly Run[]): ReferenceKernel {
  const faults = runs.map((run) => run.majflt);
  const ratios = runs
    .filter((run) => run.vmstat.pgsteal_anon > 0)
    .map((run) => run.vmstat.pgscan_anon / run.vmstat.pgsteal_anon);
  return {
    kernel,
    policy: runs[0]!.policy,
    refaults: {
      median: median(faults),
      min: Math.min(...faults),
      max: Math.max(...faults),
      n: runs.length,
    },
    scanPerSteal: ratios.length === 0 ? null : median(ratios),
    activate: median(runs.map((run) => run.vmstat.pgactivate)),
    deactivate: median(runs.map((run) => run.vmstat.pgdeactivate)),
  };
}

/** Folds the runs of one trace at one limit. */
function foldCell(runs: readonly Run[], offline: readonly OfflineRow[]): ReferenceRow {
  const { trace, frac, limitPages, pages } = runs[0]!;
  const exact = offline.find((row) => row.trace === trace && row.frac === frac);
  const kernels = [...groupBy(runs, kernelLabel)].map(([label, group]) => foldKernel(label, group));
  return {
    trace,
    mode: 'anon',
    frac,
    limitPages,
    pages,
    kernels,
    offline:
      exact === undefined
        ? null
        : {
            lru: exact.lru.refaults,
            fifo: exact.fifo.refaults,
            clock: exact.clock.refaults,
            min: exact.min.refaults,
          },
  };
}

/** The rows of a full file: one a run, variations and failed runs left out. */
function foldFull(file: string, data: unknown): ReferenceRow[] {
  const { rows, offline } = parse(file, '', fullSchema, data);
  const runs: Run[] = [];
  for (const [index, row] of rows.entries()) {
    const place = `rows.${index}`;
    const head = parse(file, place, headSchema, row);
    if (head.mode !== 'anon' || head.variant !== '' || head.pressure !== 'memcg') continue;
    if (!('failed' in (row as object))) runs.push(parse(file, place, runSchema, row));
  }
  const exact = offline.map((row, i) => parse(file, `offline.${i}`, offlineRowSchema, row));
  return [...groupBy(runs, (run) => `${run.trace} ${run.frac}`).values()].map((cell) =>
    foldCell(cell, exact),
  );
}

/**
 * Reads a file of reference figures, of either kind.
 * @throws UsageError for what cannot be read, or is no JSON @context main thread; suspends
 */
export async function readReferenceJson(
  path: string,
): Promise<{ compact: boolean; data: unknown }> {
  let data: unknown;
  try {
    data = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw fileError(path, error);
    throw inputError({ file: path, reason: `not JSON: ${error.message}`, hint: HINT });
  }
  return { compact: typeof data === 'object' && data !== null && 'schema' in data, data };
}

/**
 * Reads reference figures.
 * @param path a compact file (`kreclaim.reference/1`) or a full one (`{ rows, offline }`)
 * @returns at least one row, sorted by trace and limit; throws UsageError for anything else
 * @context main thread; suspends
 */
export async function readReference(path: string): Promise<ReferenceRow[]> {
  const { compact, data } = await readReferenceJson(path);
  const rows = compact ? parse(path, '', compactSchema, data).rows : foldFull(path, data);
  if (rows.length === 0) {
    const reason = 'holds no runs on anonymous memory with a limit';
    throw inputError({ file: path, reason, hint: HINT });
  }
  const byName = (a: ReferenceRow, b: ReferenceRow) =>
    a.trace < b.trace ? -1 : Number(a.trace > b.trace);
  return rows.sort((a, b) => byName(a, b) || a.frac - b.frac);
}
