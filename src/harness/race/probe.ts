// SPDX-License-Identifier: MIT
/**
 * What instrumented code calls. The helpers are small enough for V8 to inline them into the loops
 * that they stand in; what is left of an access that was made in this step already is: is it the
 * view that this site saw last, and is my cell this step's epoch?
 *
 *   read(o, k, site)    o is the view of the site, its read cell at k is my epoch: done
 *                       otherwise `readSlow`: is it shared memory at all, and the detector
 *
 * An element outside of the view has no cell, so it never takes the fast path; a key that is no
 * number takes the slow one, where nothing of it is evaluated. The cells of a view are a view of
 * the shadow from the same place on: no base to add. Only one- and four-byte elements have one cell
 * each; others take the slow path, which is a call.
 *
 * Where plain accesses are scheduling points, no site remembers its view: each access goes the slow
 * way, and is posted before it is made.
 */
import { baseOf } from '../locate.ts';
import { OP_PLAIN_READ, OP_PLAIN_WRITE } from '../ops.ts';
import type { FastTrack } from './fasttrack.ts';
import { SITE_MASK } from './race_list.ts';
import type { SiteTable } from './site_table.ts';

type Cells = Int32Array<ArrayBufferLike>;

/** A place in the source from which elements are accessed. */
export class Site {
  /** The view that it saw last, if that has cells. */
  view: object | null = null;
  r: Cells = NO_CELLS;
  w: Cells = NO_CELLS;
  /** What it saw last that is not shared. */
  skip: object | null = null;
  /** Site word: id, and reason why it may race. */
  word = 0;
}

const NO_CELLS: Cells = new Int32Array(0);

/** The calling thread. `epoch` is what the fast path compares with; 0 while nothing is looked at. */
export const probe: {
  epoch: number;
  /** Site word of the call that is about to be made, 0 unknown. */
  call: number;
  /** Reason bits of a `racy` section. */
  racy: number;
  active: boolean;
  detector: FastTrack | null;
  /** Names of sites, as all threads know them. */
  names: SiteTable | null;
  /** Called before each plain access that is a scheduling point. */
  point: ((kind: number, address: number, bytes: number) => void) | null;
} = { epoch: 0, call: 0, racy: 0, active: false, detector: null, names: null, point: null };

/** Before `o[k]` is read. @returns k */
export function read(o: unknown, k: unknown, site: Site): unknown {
  if (o === site.view && typeof k === 'number' && site.r[k | 0] === probe.epoch) return k;
  readSlow(o, k, site);
  return k;
}

/** Before `v` is stored to `o[k]`. @returns v */
export function write(o: unknown, k: unknown, v: unknown, site: Site): unknown {
  if (o === site.view && typeof k === 'number' && site.w[k | 0] === probe.epoch) return v;
  writeSlow(o, k, site);
  return v;
}

/** Notes where the call stands that is about to be made. @returns its last argument, v */
export function call(v: unknown, site: Site): unknown {
  probe.call = site.word;
  return v;
}

/** The site word of the call that is being made, and none afterwards. */
export function takeCall(): number {
  const word = probe.call;
  probe.call = 0;
  return word;
}

/** A typed array on memory that the threads share. */
export interface SharedView {
  readonly base: number;
  readonly size: number;
  readonly length: number;
  /** Cells of its elements, when they have one each. */
  readonly r: Cells | null;
  readonly w: Cells | null;
}

type View = Int32Array;

let views = new WeakMap<object, SharedView | null>();
const recent: { view: object | null; known: SharedView | null }[] = [
  { view: null, known: null },
  { view: null, known: null },
  { view: null, known: null },
  { view: null, known: null },
];
let recentNext = 0;

/** Forgets all views. @context buffers were given new addresses */
export function forgetViews(): void {
  views = new WeakMap();
  for (const entry of recent) {
    entry.view = null;
    entry.known = null;
  }
}

function describe(view: View): SharedView | null {
  const detector = probe.detector;
  if (detector === null) return null;
  // A DataView has no elements; its methods count bytes.
  const size = view.BYTES_PER_ELEMENT ?? 1;
  const buffer = baseOf(view.buffer);
  if (buffer < 0) return null;
  const base = buffer + view.byteOffset;
  const length = view.length ?? 0;
  if (base + view.byteLength > detector.shadow.span) return null;
  const { shadow, thread } = detector;
  const cells = size === 1 ? shadow.bytes : shadow.granules;
  const cut = (row: Cells): Cells => row.subarray(base / size, base / size + length);
  const whole = size === 1 || (size === 4 && base % 4 === 0);
  return {
    base,
    size,
    length,
    r: whole ? cut(cells.read[thread] as Cells) : null,
    w: whole ? cut(cells.write) : null,
  };
}

/** @param o anything @returns what is known of it, null when it is no view of shared memory */
export function sharedView(o: unknown): SharedView | null {
  for (let i = 0; i < 4; i++) {
    const entry = recent[i] as (typeof recent)[number];
    if (entry.view === o) return entry.known;
  }
  if (!ArrayBuffer.isView(o) || probe.detector === null) return null;
  let known = views.get(o);
  if (known === undefined) {
    known = describe(o as View);
    views.set(o, known);
  }
  const entry = recent[recentNext++ & 3] as (typeof recent)[number];
  entry.view = o;
  entry.known = known;
  return known;
}

/** @returns the index that a key means, -1 when it is none of the view */
function indexOf(key: unknown, view: View, known: SharedView): number {
  let i = -1;
  if (typeof key === 'number') i = key;
  else if (typeof key === 'bigint') i = Number(key);
  else if (typeof key === 'string' && String(Number(key)) === key) i = Number(key);
  // A view on a growable buffer may be longer than it was.
  if (i < 0 || i !== Math.trunc(i)) return -1;
  if (!(i < known.length || i < view.length)) return -1;
  return i;
}

function readSlow(o: unknown, k: unknown, site: Site): void {
  if (typeof o !== 'object' || o === null || o === site.skip || !ArrayBuffer.isView(o)) return;
  if (probe.active) readView(o as View, k, site);
}

function readView(o: View, k: unknown, site: Site): void {
  const known = sharedView(o);
  if (known === null) {
    site.skip = o;
    return;
  }
  const i = indexOf(k, o, known);
  if (i < 0) return;
  plainAccess(known.base + i * known.size, known.size, false, site.word);
  if (known.r !== null && probe.point === null) remember(site, o, known);
}

function writeSlow(o: unknown, k: unknown, site: Site): void {
  if (typeof o !== 'object' || o === null || o === site.skip || !ArrayBuffer.isView(o)) return;
  if (probe.active) writeView(o as View, k, site);
}

function writeView(o: View, k: unknown, site: Site): void {
  const known = sharedView(o);
  if (known === null) {
    site.skip = o;
    return;
  }
  const i = indexOf(k, o, known);
  if (i < 0) return;
  plainAccess(known.base + i * known.size, known.size, true, site.word);
  if (known.w !== null && probe.point === null) remember(site, o, known);
}

function remember(site: Site, view: View, known: SharedView): void {
  if (site.view === view) return;
  site.r = known.r as Cells;
  site.w = known.w as Cells;
  site.view = view;
}

/**
 * A plain access of this thread, about to be made.
 * @param site site word
 * @throws what the listeners of races throw
 */
export function plainAccess(address: number, bytes: number, isWrite: boolean, site: number): void {
  if (!probe.active) return;
  if (probe.point !== null) probe.point(isWrite ? OP_PLAIN_WRITE : OP_PLAIN_READ, address, bytes);
  const word = site > SITE_MASK ? site : site | probe.racy;
  (probe.detector as FastTrack).plain(address, bytes, isWrite, word);
}

/** As `plainAccess`, for an element of a view, by a site. @param view a typed array */
export function plainRead(view: View, i: number, site: Site): void {
  if (probe.active) readView(view, i, site);
}

/** As `plainRead`, for a write. */
export function plainWrite(view: View, i: number, site: Site): void {
  if (probe.active) writeView(view, i, site);
}
