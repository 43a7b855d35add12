// SPDX-License-Identifier: GPL-2.0-only
/**
 * Seeded generators of traces.
 *
 * - `uniform`: every page is as likely as any other.
 * - `zipf`: the page of rank k has weight k^-theta; ranks are dealt to pages at random, so that hot
 *   pages are not neighbours.
 * - `scan`: all pages in order, again and again.
 * - `phases`: the events fall into equal phases; each draws uniformly from a working set, a stretch
 *   of pages that moves from the first pages to the last as phases go by.
 *
 * A generator uses only the seeded Prng and exactly rounded arithmetic (exact_pow.ts): the same
 * options give the same trace on every engine. One draw for the page and one for the kind an event,
 * in that order, whatever the kind of generator: options that do not concern the page sequence do
 * not change it.
 */
import { Prng } from '../../shared/prng.ts';
import { UsageError } from '../errors.ts';
import { powOfMinus } from './exact_pow.ts';
import type { Trace } from './trace_builder.ts';
import { KIND_READ, KIND_WRITE, TraceBuilder, VPN_LIMIT } from './trace_builder.ts';

export type GeneratorKind = 'uniform' | 'zipf' | 'scan' | 'phases';
export const GENERATOR_KINDS: readonly GeneratorKind[] = ['uniform', 'zipf', 'scan', 'phases'];

export interface GeneratorOptions {
  readonly kind: GeneratorKind;
  /** Pages that may be touched, 1 .. 2^24. */
  readonly pages: number;
  /** Events, 1 .. 2^28. */
  readonly events: number;
  /** Part of the events that write, 0 .. 1. Default 0.25. */
  readonly writeFraction?: number;
  /** Integer in 0 .. 2^32-1. Default 1. */
  readonly seed?: number;
  /** First page number. Default 65536. */
  readonly firstVpn?: number;
  /** zipf: skew, 0 (uniform) .. 16. Default 0.99. */
  readonly theta?: number;
  /** phases: how many, 1 .. events. Default 8, or fewer where there are fewer events. */
  readonly phases?: number;
  /** phases: pages of the working set, 1 .. pages. Default a quarter of the pages, rounded up. */
  readonly workingSetPages?: number;
  /** Default `KIND-PAGES`. */
  readonly name?: string;
}

const PAGES_MAX = 2 ** 24;
const EVENTS_MAX = 2 ** 28;
const THETA_MAX = 16;
/** Streams of the Prng: the order of pages is dealt apart from the draws of events. */
const STREAM_EVENTS = 1;
const STREAM_RANKS = 2;

type Resolved = Required<GeneratorOptions>;

function checkNumber(name: string, value: number, low: number, high: number, integer: boolean) {
  const fits = value >= low && value <= high && (!integer || Number.isInteger(value));
  if (fits) return;
  const what = integer ? 'an integer' : 'a number';
  throw new UsageError(`generator: ${name} is ${value}; give ${what} in ${low}..${high}`);
}

function resolve(options: GeneratorOptions): Resolved {
  const { kind, pages, events } = options;
  if (!GENERATOR_KINDS.includes(kind)) {
    const known = GENERATOR_KINDS.join(', ');
    throw new UsageError(`generator: unknown kind '${kind}'; give one of ${known}`);
  }
  checkNumber('pages', pages, 1, PAGES_MAX, true);
  checkNumber('events', events, 1, EVENTS_MAX, true);
  const resolved: Resolved = {
    kind,
    pages,
    events,
    writeFraction: options.writeFraction ?? 0.25,
    seed: options.seed ?? 1,
    firstVpn: options.firstVpn ?? 65536,
    theta: options.theta ?? 0.99,
    phases: options.phases ?? Math.min(8, events),
    workingSetPages: options.workingSetPages ?? Math.ceil(pages / 4),
    name: options.name ?? `${kind}-${pages}`,
  };
  checkNumber('writeFraction', resolved.writeFraction, 0, 1, false);
  checkNumber('seed', resolved.seed, 0, 2 ** 32 - 1, true);
  checkNumber('firstVpn', resolved.firstVpn, 0, VPN_LIMIT - pages, true);
  checkNumber('theta', resolved.theta, 0, THETA_MAX, false);
  checkNumber('phases', resolved.phases, 1, events, true);
  checkNumber('workingSetPages', resolved.workingSetPages, 1, pages, true);
  return resolved;
}

/** Draws the page of event `index`, 0 .. pages-1. Takes exactly one number from `prng`. */
type PageDraw = (prng: Prng, index: number) => number;

function drawScan(pages: number): PageDraw {
  return (prng, index) => {
    prng.nextU32();
    return index % pages;
  };
}

/** Running sums of the weights; a draw looks for the first sum above it. */
function drawZipf(options: Resolved): PageDraw {
  const { pages, theta } = options;
  const sums = new Float64Array(pages);
  let total = 0;
  for (let rank = 0; rank < pages; rank++) {
    total += powOfMinus(rank + 1, theta);
    sums[rank] = total;
  }
  const pageOfRank = shuffledPages(pages, new Prng(options.seed, STREAM_RANKS));
  return (prng) => {
    const target = prng.nextFloat() * total;
    let low = 0;
    let high = pages - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return pageOfRank[low]!;
  };
}

function shuffledPages(pages: number, prng: Prng): Uint32Array {
  const order = Uint32Array.from({ length: pages }, (_, page) => page);
  for (let i = pages - 1; i > 0; i--) {
    const other = prng.below(i + 1);
    const page = order[i]!;
    order[i] = order[other]!;
    order[other] = page;
  }
  return order;
}

function drawPhases(options: Resolved): PageDraw {
  const { pages, events, phases, workingSetPages } = options;
  const travel = pages - workingSetPages;
  return (prng, index) => {
    const phase = Math.floor((index * phases) / events);
    const start = phases === 1 ? 0 : Math.floor((phase * travel) / (phases - 1));
    return start + prng.below(workingSetPages);
  };
}

function pageDraw(options: Resolved): PageDraw {
  switch (options.kind) {
    case 'uniform':
      return (prng) => prng.below(options.pages);
    case 'zipf':
      return drawZipf(options);
    case 'scan':
      return drawScan(options.pages);
    case 'phases':
      return drawPhases(options);
  }
}

/**
 * Makes a trace.
 * @returns a trace of exactly `events` events; throws UsageError for options out of range
 * @context any thread; does not block
 */
export function generateTrace(options: GeneratorOptions): Trace {
  const resolved = resolve(options);
  const { events, firstVpn } = resolved;
  const builder = new TraceBuilder(resolved.name, 'generated', events);
  const prng = new Prng(resolved.seed, STREAM_EVENTS);
  const draw = pageDraw(resolved);
  const writeBelow = resolved.writeFraction * 2 ** 32;
  for (let i = 0; i < events; i++) {
    const vpn = firstVpn + draw(prng, i);
    builder.add(vpn, prng.nextU32() < writeBelow ? KIND_WRITE : KIND_READ);
  }
  return builder.finish();
}
