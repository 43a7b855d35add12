// SPDX-License-Identifier: GPL-2.0-only
/**
 * How a replayed trace's pages are mapped, as the reference's replay maps them:
 *
 *   anon    all of them anonymous, at their own addresses
 *   mixed   at their own addresses: anonymous ones, heap and stack anonymous; those of files as
 *           private mappings of one file that holds them in the order of their addresses
 *   file    one shared mapping of one file that holds all pages in the order of their addresses
 *
 * A page of a file that the trace writes is mapped writable, whatever its range says.
 */
import type { F64, U32 } from '../../shared/types.ts';
import { oneLine, UsageError } from '../errors.ts';
import type { VmaSpec } from '../mm/config.ts';
import { noRanges, type TraceRange } from './sidecar.ts';
import { eventVpn, KIND_WRITE, REGION_PAGES, type Trace, VMA_GAP_PAGES } from './trace_builder.ts';

export const VMA_KINDS = ['anon', 'mixed', 'file'] as const;
export type VmaKinds = (typeof VMA_KINDS)[number];

/** First page of the one mapping of `file`. */
const RANK_BASE = 2 ** 20;

/** A trace and where its pages lie. */
export interface MappedTrace {
  readonly events: U32;
  readonly regions: F64;
  readonly vmas: readonly VmaSpec[];
  readonly pageTables: number;
  /** Pages of the generated file; 0 for none. */
  readonly filePages: number;
}

const ANON = 'a';
const EXEC = 'x';
const READ = 'r';
const WRITE = 'w';
type PageClass = typeof ANON | typeof EXEC | typeof READ | typeof WRITE;

/** @returns the pages that the trace writes */
function writtenPages(trace: Trace): ReadonlySet<number> {
  const seen = new Uint8Array(trace.regions.length * REGION_PAGES);
  const written = new Set<number>();
  for (const event of trace.events) {
    if ((event & 3) !== KIND_WRITE || seen[event >>> 2] !== 0) continue;
    seen[event >>> 2] = 1;
    written.add(eventVpn(trace, event));
  }
  return written;
}

function classOf(range: TraceRange, written: boolean): PageClass {
  if (range.kind !== 'file') return ANON;
  if (written || range.prot[1] === 'w') return WRITE;
  return range.prot[2] === 'x' ? EXEC : READ;
}

/** Classes of ascending pages. @throws UsageError for a page that no range has */
function classify(trace: Trace, ranges: readonly TraceRange[], sorted: Float64Array): PageClass[] {
  const written = writtenPages(trace);
  let at = 0;
  return Array.from(sorted, (vpn) => {
    while (at < ranges.length && (ranges[at] as TraceRange).end <= vpn) at++;
    const range = ranges[at];
    if (range === undefined || range.start > vpn) {
      throw noRanges(trace.name, `page ${vpn} is in no range of its sidecar`);
    }
    return classOf(range, written.has(vpn));
  });
}

function fileOf(kind: PageClass, pgoff: number): VmaSpec['file'] {
  return kind === ANON
    ? undefined
    : { pgoff, shared: false, write: kind === WRITE, exec: kind === EXEC };
}

/** Runs of neighbours of one class; anonymous ones with gaps, as long as nothing lies in them. */
function mixedVmas(
  sorted: Float64Array,
  classes: readonly PageClass[],
): { vmas: VmaSpec[]; pages: number } {
  const vmas: VmaSpec[] = [];
  let pages = 0;
  for (let i = 0; i < sorted.length; ) {
    const kind = classes[i] as PageClass;
    const start = sorted[i] as number;
    const gap = kind === ANON ? VMA_GAP_PAGES : 0;
    const pgoff = pages;
    let end = start;
    for (; i < sorted.length && classes[i] === kind; i++) {
      const vpn = sorted[i] as number;
      if (vpn > end + gap) break;
      end = vpn + 1;
      if (kind !== ANON) pages++;
    }
    const file = fileOf(kind, pgoff);
    vmas.push(file === undefined ? { start, end } : { start, end, file });
  }
  return { vmas, pages };
}

/** The trace with its pages side by side, in the order of their addresses. */
function byRank(trace: Trace, sorted: Float64Array): MappedTrace {
  const rank = new Uint32Array(trace.regions.length * REGION_PAGES);
  const regionOf = new Map(Array.from(trace.regions, (first, i) => [first, i]));
  for (let i = 0; i < sorted.length; i++) {
    const vpn = sorted[i] as number;
    const inRegion = vpn % REGION_PAGES;
    rank[(regionOf.get(vpn - inRegion) as number) * REGION_PAGES + inRegion] = i;
  }
  const events = new Uint32Array(new SharedArrayBuffer(trace.events.byteLength));
  for (let i = 0; i < events.length; i++) {
    const event = trace.events[i] as number;
    events[i] = (rank[event >>> 2] as number) * 4 + (event & 3);
  }
  const count = Math.ceil(sorted.length / REGION_PAGES);
  const regions = new Float64Array(new SharedArrayBuffer(count * 8));
  for (let i = 0; i < count; i++) regions[i] = RANK_BASE + i * REGION_PAGES;
  const file = { pgoff: 0, shared: true, write: true, exec: false };
  const vmas = [{ start: RANK_BASE, end: RANK_BASE + sorted.length, file }];
  // Leaves, and one table of each level above.
  return { events, regions, vmas, pageTables: count + 4, filePages: sorted.length };
}

/**
 * Where the pages of a trace lie.
 * @throws UsageError when the kinds of its pages are needed and not known
 * @context any thread; does not block
 */
export function mapTrace(trace: Trace, kinds: VmaKinds): MappedTrace {
  const { events, regions, pageTables } = trace;
  if (kinds === 'anon') return { events, regions, vmas: trace.vmas, pageTables, filePages: 0 };
  const sorted = Float64Array.from(trace.pages).sort();
  if (kinds === 'file') return byRank(trace, sorted);
  if (trace.ranges === undefined) {
    const name = oneLine(trace.name, 40);
    throw new UsageError(`vmas: the kinds of ${name}'s pages are not known; give 'anon' or 'file'`);
  }
  const { vmas, pages } = mixedVmas(sorted, classify(trace, trace.ranges, sorted));
  return { events, regions, vmas, pageTables, filePages: pages };
}
