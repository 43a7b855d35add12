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
 * the shadow from the same place on: no base to add. Only elements of one and four bytes have one
 * cell each; others take the slow path, which is a call.
 *
 * Where plain accesses are scheduling points, no site remembers its view: each access goes the slow
 * way, and is posted before it is made.
 */
import { baseOf } from '../locate.ts';
import type { LockOrder } from '../lock_order.ts';
import { OP_PLAIN_READ, OP_PLAIN_WRITE } from '../ops.ts';
import type { FastTrack } from './fasttrack.ts';
import { SITE_MASK } from './race_list.ts';
import { CLOCK_SHIFT, SPLIT, THREAD_MASK } from './shadow.ts';
import type { SiteTable } from './site_table.ts';

type Cells = Int32Array<ArrayBufferLike>;
type View = Int32Array;

/** A typed array, or a DataView, on memory that the threads share. */
export interface SharedView {
  /** Address of its first byte. */
  readonly base: number;
  /** Bytes of an element. */
  readonly size: number;
  /** Elements; 0 of a DataView. */
  readonly length: number;
  /** Its elements have cells of their own: 1 << shift each, from index << shift on. */
  readonly celled: boolean;
  readonly shift: number;
  /** Cells of this thread's reads, and where those were. */
  readonly r: Cells;
  readonly rSite: Cells;
  readonly w: Cells;
  readonly wSite: Cells;
  /** Cells of the other threads' reads. */
  readonly others: readonly Cells[];
  /** By granule, from the one of the first byte on: widths of Atomics, cells of writes. */
  readonly atomics: Uint8Array;
  readonly granules: Cells;
  /** Bytes of the first granule before the first byte. */
  readonly lead: number;
}

const NO_CELLS: Cells = new Int32Array(0);

/** A place in the source from which elements are accessed. */
export class Site {
  /** The view that it saw last, if that is celled; its cells. */
  view: object | null = null;
  r: Cells = NO_CELLS;
  w: Cells = NO_CELLS;
  /** The shared view that it saw last. */
  seen: object | null = null;
  known: SharedView | null = null;
  /** What it saw last that is not shared; anything. */
  skip: unknown = null;
  /** Site word: id, and reason why it may race. */
  word = 0;
}

/** The calling thread. `epoch` is what cells are compared with; 0 while nothing is looked at. */
export const probe: {
  epoch: number;
  /** Site word of the call that is about to be made, 0 unknown. */
  call: number;
  /** Reason bits of a `racy` section. */
  racy: number;
  active: boolean;
  detector: FastTrack | null;
  /** The detector's vector clock of this thread. */
  clock: Int32Array;
  /** Names of sites, as all threads know them. */
  names: SiteTable | null;
  /** What this thread's locks are told to; null: nobody asks. */
  locks: LockOrder | null;
  /** Called before each plain access that is a scheduling point. */
  point: ((kind: number, address: number, bytes: number) => void) | null;
} = {
  epoch: 0,
  call: 0,
  racy: 0,
  active: false,
  detector: null,
  clock: NO_CELLS,
  names: null,
  locks: null,
  point: null,
};

/** Before `o[k]` is read. @returns k */
export function read(o: unknown, k: unknown, site: Site): unknown {
  if (o === site.view && typeof k === 'number' && site.r[k | 0] === probe.epoch) return k;
  if (o !== site.skip) readSlow(o, k, site);
  return k;
}

/** Before `v` is stored to `o[k]`. @returns v */
export function write(o: unknown, k: unknown, v: unknown, site: Site): unknown {
  if (o === site.view && typeof k === 'number' && site.w[k | 0] === probe.epoch) return v;
  if (o !== site.skip) writeSlow(o, k, site);
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

/** A site word under the reason of the section it is in, unless it has a reason itself. */
function wordNow(word: number): number {
  return word > SITE_MASK ? word : word | probe.racy;
}

/** @returns true when the cells of element i are those to look at, and no Atomics were there */
function cellsHold(known: SharedView, i: number): boolean {
  const { size, shift, atomics } = known;
  if (size < 4) {
    const g = ((i << shift) + known.lead) >> 2;
    return atomics[g] === 0 && known.granules[g] === SPLIT;
  }
  const g = i << shift;
  return atomics[g] === 0 && (shift === 0 || atomics[g + 1] === 0);
}

/** @returns true when an epoch is before what this thread does; poison and SPLIT are not */
function isBefore(epoch: number): boolean {
  return epoch >= 0 && epoch >> CLOCK_SHIFT <= (probe.clock[epoch & THREAD_MASK] as number);
}

/** Enters a read into a cell. @returns false where the detector has to look at it */
function enterRead(known: SharedView, cell: number, site: Site): boolean {
  if (known.r[cell] === probe.epoch) return true;
  if (!isBefore(known.w[cell] as number)) return false;
  known.r[cell] = probe.epoch;
  known.rSite[cell] = wordNow(site.word);
  return true;
}

/** As `enterRead`, for a write: the cell is compared with all readers too. */
function enterWrite(known: SharedView, cell: number, site: Site): boolean {
  if (known.w[cell] === probe.epoch) return true;
  if (!isBefore(known.w[cell] as number)) return false;
  for (let t = 0; t < known.others.length; t++) {
    if (!isBefore((known.others[t] as Cells)[cell] as number)) return false;
  }
  known.w[cell] = probe.epoch;
  known.wSite[cell] = wordNow(site.word);
  return true;
}

/**
 * What `read` could not do. A cell that was not touched in this step needs only to be compared with
 * its last writer and entered; that is done here, the rest by the detector.
 */
function readSlow(o: unknown, k: unknown, site: Site): void {
  if (o === site.seen && typeof k === 'number') {
    const known = site.known as SharedView;
    const i = k | 0;
    if (!probe.active) return;
    if (i === k && i >= 0 && i < known.length && probe.point === null) {
      if (known.celled && cellsHold(known, i)) {
        const cell = i << known.shift;
        const first = enterRead(known, cell, site);
        if (first && (known.shift === 0 || enterRead(known, cell + 1, site))) return;
      }
      plainAccess(known.base + i * known.size, known.size, false, site.word);
      return;
    }
  }
  if (!ArrayBuffer.isView(o)) {
    site.skip = o;
    return;
  }
  elementAccess(o as View, k, false, site);
}

/** What `write` could not do. */
function writeSlow(o: unknown, k: unknown, site: Site): void {
  if (o === site.seen && typeof k === 'number') {
    const known = site.known as SharedView;
    const i = k | 0;
    if (!probe.active) return;
    if (i === k && i >= 0 && i < known.length && probe.point === null) {
      if (known.celled && cellsHold(known, i)) {
        const cell = i << known.shift;
        const first = enterWrite(known, cell, site);
        if (first && (known.shift === 0 || enterWrite(known, cell + 1, site))) return;
      }
      plainAccess(known.base + i * known.size, known.size, true, site.word);
      return;
    }
  }
  if (!ArrayBuffer.isView(o)) {
    site.skip = o;
    return;
  }
  elementAccess(o as View, k, true, site);
}

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
  const detector = probe.detector as FastTrack;
  // A DataView has no elements; its methods count bytes.
  const size = view.BYTES_PER_ELEMENT ?? 1;
  const buffer = baseOf(view.buffer);
  if (buffer < 0) return null;
  const base = buffer + view.byteOffset;
  const length = view.length ?? 0;
  const { shadow, thread } = detector;
  if (base + view.byteLength > shadow.span) return null;
  const grain = size < 4 ? 1 : 4;
  const celled = length > 0 && base % grain === 0;
  const shift = size > grain ? 1 : 0;
  const cells = grain === 1 ? shadow.bytes : shadow.granules;
  const cut = (row: Cells): Cells =>
    celled ? row.subarray(base / grain, base / grain + (length << shift)) : NO_CELLS;
  const first = base >> 2;
  const last = (base + view.byteLength + 3) >> 2;
  return {
    base,
    size,
    length,
    celled,
    shift,
    r: cut(cells.read[thread] as Cells),
    rSite: cut(cells.readSite[thread] as Cells),
    w: cut(cells.write),
    wSite: cut(cells.writeSite),
    others: cells.read.filter((_, t) => t !== thread).map(cut),
    atomics: shadow.atomics.subarray(first, last),
    granules: shadow.granules.write.subarray(first, last),
    lead: base & 3,
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
  if (i < 0 || i !== Math.trunc(i)) return -1;
  // A view on a growable buffer may be longer than it was.
  return i < known.length || i < view.length ? i : -1;
}

/** An access of any view, by any key. */
function elementAccess(view: View, key: unknown, isWrite: boolean, site: Site): void {
  if (!probe.active) return;
  const known = sharedView(view);
  if (known === null) {
    site.skip = view;
    return;
  }
  const i = indexOf(key, view, known);
  if (i < 0) return;
  plainAccess(known.base + i * known.size, known.size, isWrite, site.word);
  if (probe.point !== null || view === site.seen) return;
  site.seen = view;
  site.known = known;
  site.view = known.celled && known.shift === 0 ? view : null;
  site.r = known.r;
  site.w = known.w;
}

/**
 * A plain access of this thread, about to be made.
 * @param site site word
 * @throws what the listeners of races throw
 */
export function plainAccess(address: number, bytes: number, isWrite: boolean, site: number): void {
  if (!probe.active) return;
  if (probe.point !== null) probe.point(isWrite ? OP_PLAIN_WRITE : OP_PLAIN_READ, address, bytes);
  (probe.detector as FastTrack).plain(address, bytes, isWrite, wordNow(site));
}

/** As `plainAccess`, for an element of a view, by a site. @param view a typed array */
export function plainRead(view: View, i: number, site: Site): void {
  elementAccess(view, i, false, site);
}

/** As `plainRead`, for a write. */
export function plainWrite(view: View, i: number, site: Site): void {
  elementAccess(view, i, true, site);
}
