// SPDX-License-Identifier: GPL-2.0-only
/** Figures of a trace that only descriptions of it need: computed when asked for. */
import type { Trace } from './trace_builder.ts';
import { KIND_WRITE, REGION_PAGES } from './trace_builder.ts';

/** Parts that a trace is cut into for its working-set curve. */
export const WORKING_SET_PARTS = 40;

/** @returns pages with at least one write @context any thread; does not block */
export function pagesWritten(trace: Trace): number {
  const written = new Uint8Array(trace.regions.length * REGION_PAGES);
  let pages = 0;
  for (const event of trace.events) {
    if ((event & 3) !== KIND_WRITE || written[event >>> 2] === 1) continue;
    written[event >>> 2] = 1;
    pages++;
  }
  return pages;
}

/**
 * Counts the distinct pages in each of `parts` equal stretches of the trace, in order. Where there
 * are fewer events than parts, the stretches that hold none are left out.
 * @context any thread; does not block
 */
export function workingSetCurve(trace: Trace, parts = WORKING_SET_PARTS): number[] {
  const { events } = trace;
  const lastPart = new Uint32Array(trace.regions.length * REGION_PAGES);
  const curve: number[] = [];
  let start = 0;
  for (let part = 1; part <= parts; part++) {
    const end = Math.floor((part * events.length) / parts);
    if (end === start) continue;
    let distinct = 0;
    for (let i = start; i < end; i++) {
      const slot = events[i]! >>> 2;
      if (lastPart[slot] === part) continue;
      lastPart[slot] = part;
      distinct++;
    }
    curve.push(distinct);
    start = end;
  }
  return curve;
}

/** @returns the middle value, or the mean of the two in the middle; NaN of nothing */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >>> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? Number.NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
