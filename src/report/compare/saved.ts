// SPDX-License-Identifier: GPL-2.0-only
/** Reports of runs, and of comparisons, that were saved as JSON. */
import * as v from 'valibot';
import { inputError, oneLine } from '../../errors.ts';
import { readFileBytes } from '../../workload/trace_bytes.ts';
import { RUN_SCHEMA } from '../run_report.ts';
import { COMPARE_SCHEMA, type CompareReport, type CompareRun } from './compare_report.ts';
import { type Countable, countersOf } from './counters.ts';

const number = v.nullable(v.number());
const counts = v.record(v.string(), v.number());
const latency = v.object({ count: v.number(), p50: number, p99: number });

/** What a comparison reads of a run report. */
const RUN = v.object({
  schema: v.literal(RUN_SCHEMA),
  version: v.string(),
  mode: v.picklist(['parallel', 'deterministic'], 'not a mode of kreclaim'),
  seed: v.number(),
  config: v.record(v.string(), v.unknown()),
  node: v.string(),
  cpus: v.object({ count: v.number(), model: v.string() }),
  bootMs: number,
  wallMs: v.number(),
  maxRssBytes: number,
  vmstat: counts,
  counters: counts,
  processes: v.array(v.object({ events: v.number(), oomKilled: v.boolean() })),
  traces: v.array(v.object({ name: v.string(), events: v.number() })),
  scenario: v.nullable(
    v.object({
      name: v.string(),
      options: v.record(v.string(), v.unknown()),
      figures: v.record(v.string(), number),
    }),
  ),
  threads: v.array(v.object({ comm: v.string(), cpuMs: number })),
  lockStat: v.array(
    v.object({ class: v.string(), contentions: v.number(), waitNsTotal: v.number() }),
  ),
  interrupted: v.boolean(),
  panic: v.nullable(v.object({ reason: v.string(), message: v.string() })),
  latencyNs: v.object({ fault: latency, majorFault: latency, allocStall: latency }),
  faults: counts,
  schedule: v.nullable(v.object({ virtualMs: v.number() })),
  integrity: v.object({ mismatches: v.number(), violations: number }),
});

/** What a comparison reads of its own report. */
const COMPARE = v.object({
  schema: v.literal(COMPARE_SCHEMA),
  version: v.string(),
  node: v.string(),
  cpus: v.object({ count: v.number(), model: v.string() }),
  toggle: v.nullable(v.object({ name: v.string(), a: v.string(), b: v.string() })),
  plan: v.object({
    inputs: v.array(v.string()),
    runs: number,
    order: v.nullable(v.literal('ABBA')),
    paired: v.boolean(),
    jobs: number,
    mode: v.string(),
    same: v.number(),
  }),
  sides: v.object({
    a: v.object({ label: v.string(), config: v.record(v.string(), v.unknown()) }),
    b: v.object({ label: v.string(), config: v.record(v.string(), v.unknown()) }),
  }),
  interrupted: v.boolean(),
  wallMs: number,
  warnings: v.array(v.string()),
  runs: v.array(
    v.object({
      side: v.picklist(['a', 'b']),
      pair: v.pipe(v.number(), v.integer(), v.minValue(1)),
      status: v.picklist(['complete', 'panic', 'timeout', 'interrupted']),
      exitCode: v.number(),
      reason: v.nullable(v.string()),
      seed: number,
      wallMs: number,
      report: v.nullable(v.string()),
      counters: v.record(v.string(), number),
    }),
  ),
});

/** A run report, as far as a comparison reads it. */
export type SavedRun = v.InferOutput<typeof RUN>;
/** A comparison, as far as it can be made again. */
export type SavedCompare = Pick<
  CompareReport,
  'toggle' | 'plan' | 'sides' | 'interrupted' | 'wallMs' | 'warnings' | 'runs'
> &
  v.InferOutput<typeof COMPARE>;

export type Saved =
  | { readonly kind: 'run'; readonly file: string; readonly report: SavedRun }
  | { readonly kind: 'compare'; readonly file: string; readonly report: SavedCompare };

const HINT = 'give reports that kreclaim run --json or compare --json wrote';

function schemaOf(data: unknown): string {
  const schema = typeof data === 'object' && data !== null ? Reflect.get(data, 'schema') : null;
  return typeof schema === 'string' ? `its schema is '${oneLine(schema, 40)}'` : 'it has no schema';
}

/** @throws UsageError for what is no such report */
export async function readSaved(file: string): Promise<Saved> {
  const text = (await readFileBytes(file)).toString('utf8');
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw inputError({ file, reason: `not JSON: ${(error as Error).message}`, hint: HINT });
  }
  const named = typeof data === 'object' && data !== null ? Reflect.get(data, 'schema') : null;
  if (named !== RUN_SCHEMA && named !== COMPARE_SCHEMA) {
    throw inputError({ file, reason: `not a report to compare: ${schemaOf(data)}`, hint: HINT });
  }
  const result = named === RUN_SCHEMA ? v.safeParse(RUN, data) : v.safeParse(COMPARE, data);
  if (!result.success) {
    const issue = result.issues[0];
    const position = v.getDotPath(issue) ?? 'report';
    throw inputError({ file, position, reason: issue.message, hint: HINT });
  }
  const report = result.output;
  return report.schema === RUN_SCHEMA
    ? { kind: 'run', file, report }
    : { kind: 'compare', file, report: report as SavedCompare };
}

/** Why a run cannot be compared; null where it can. */
function brokenOff(report: SavedRun): Pick<CompareRun, 'status' | 'reason'> | null {
  const { panic, interrupted } = report;
  if (panic !== null) return { status: 'panic', reason: `${panic.reason}: ${panic.message}` };
  return interrupted ? { status: 'interrupted', reason: 'interrupted' } : null;
}

/** A saved run as a run of a comparison. @param pair from 1 */
export function savedRun(
  side: CompareRun['side'],
  pair: number,
  file: string,
  report: SavedRun,
): CompareRun {
  const off = brokenOff(report);
  const { mismatches, violations } = report.integrity;
  const wrong = mismatches + (violations ?? 0);
  const reason = wrong > 0 ? `${mismatches} mismatches, ${violations ?? 0} violations` : null;
  return {
    side,
    pair,
    status: off?.status ?? 'complete',
    exitCode: off === null ? (wrong > 0 ? 1 : 0) : off.status === 'panic' ? 3 : 130,
    reason: off?.reason ?? reason,
    seed: report.seed,
    wallMs: report.wallMs,
    report: file,
    counters: countersOf(report as unknown as Countable),
  };
}
