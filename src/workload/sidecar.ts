// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a trace's pages were in the program that it was captured from: the ranges of its sidecar,
 * `NAME.json` beside `NAME.ftrc.gz` (traces/README.md). Other keys of the file are left alone.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import { inputError, type UsageError } from '../errors.ts';
import { VPN_LIMIT } from './trace_builder.ts';
import { fileError } from './trace_bytes.ts';

/** A stretch of pages of one kind. */
export interface TraceRange {
  /** In vpn. */
  readonly start: number;
  /** First page after it. */
  readonly end: number;
  readonly kind: 'anon' | 'heap' | 'stack' | 'file' | 'shm';
  /** As /proc/PID/maps has it, such as `r-x`. */
  readonly prot: string;
}

const HINT = 'give the sidecar that came with the trace';

const vpn = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(VPN_LIMIT));
const rangeSchema = v.object({
  start: vpn,
  end: vpn,
  kind: v.picklist(['anon', 'heap', 'stack', 'file', 'shm']),
  prot: v.pipe(v.string(), v.regex(/^[r-][w-][x-]$/, 'not like r-x')),
});
const schema = v.object({ ranges: v.array(rangeSchema) });

/** @returns where the sidecar of a trace lies: beside it */
export function sidecarPath(trace: string): string {
  const name = basename(trace)
    .replace(/\.gz$/i, '')
    .replace(/\.[^.]+$/, '');
  return join(dirname(trace), `${name}.json`);
}

function check(file: string, ranges: readonly TraceRange[]): void {
  let before = 0;
  for (const [i, { start, end }] of ranges.entries()) {
    if (start >= before && start < end) {
      before = end;
      continue;
    }
    const reason = `${start}..${end} is empty, or does not lie behind the range before it`;
    throw inputError({ file, position: `ranges.${i}`, reason, hint: HINT });
  }
}

/** @returns the error for a trace whose pages' kinds are not known */
export function noRanges(trace: string, reason: string): UsageError {
  const hint = 'give a trace with a sidecar, or --vmas anon';
  return inputError({ file: trace, reason, hint });
}

/**
 * Reads the ranges of a trace's sidecar.
 * @param trace path of the trace
 * @returns ascending ranges that do not overlap; throws UsageError when there is no sidecar, or it
 *   holds none
 * @context any thread; suspends
 */
export async function readRanges(trace: string): Promise<readonly TraceRange[]> {
  const file = sidecarPath(trace);
  let data: unknown;
  try {
    data = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw noRanges(trace, `its pages' kinds are not known: there is no ${basename(file)}`);
    }
    if (!(error instanceof SyntaxError)) throw fileError(file, error);
    throw inputError({ file, reason: `not JSON: ${error.message}`, hint: HINT });
  }
  const result = v.safeParse(schema, data);
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    const position = path === null ? {} : { position: path };
    throw inputError({ file, ...position, reason: issue.message, hint: HINT });
  }
  const { ranges } = result.output;
  check(file, ranges);
  if (ranges.length === 0) throw noRanges(trace, `${basename(file)} holds no ranges`);
  return ranges;
}
