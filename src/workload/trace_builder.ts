// SPDX-License-Identifier: GPL-2.0-only
/**
 * A decoded trace and the builder that every reader and generator fills.
 *
 * Vocabulary: a *vpn* is a virtual page number, below 2^35. A *region* is 512 pages aligned to 512
 * (2 MiB, what one leaf page table maps); regions are numbered densely in order of first
 * appearance. A *slot* is a page's place in that numbering: `region * 512 + (vpn & 511)`. An
 * *event* is one access: `slot * 4 + kind`, which fits in 32 bits and turns back into a vpn with
 * one table load, so replay threads share events without 64-bit arithmetic. A *tick* closes a
 * window of the capturing tool; it is kept as the number of events before it.
 *
 * Everything large lies in SharedArrayBuffers: a Trace passed to a worker is not copied. A finished
 * trace never changes, so it is read without protection.
 *
 * Memory follows what was really added, never what a file's header claims.
 */
import type { F64, U32 } from '../../shared/types.ts';
import type { TraceRange } from './sidecar.ts';

/** Pages that one page table maps. */
export const REGION_PAGES = 512;
/** Page numbers are below this: 47-bit user addresses of 4-KiB pages. */
export const VPN_LIMIT = 2 ** 35;
/** Regions of one trace: region * 512 + slot, times 4, fits in 32 bits. */
export const REGIONS_MAX = 2 ** 21;

export const KIND_READ = 0;
export const KIND_WRITE = 1;
export const KIND_IFETCH = 2;

export type TraceFormat = 'ftrc' | 'csv' | 'lackey' | 'oracleGeneral' | 'generated';

export interface TraceCounts {
  readonly reads: number;
  readonly writes: number;
  readonly ifetches: number;
  readonly ticks: number;
  /** Events and ticks. */
  readonly records: number;
}

/** A stretch of pages, in vpn. */
export interface TraceVma {
  readonly start: number;
  /** First page after it. */
  readonly end: number;
}

export interface Trace {
  readonly name: string;
  readonly format: TraceFormat;
  /** Windowed-distinct: a window names a page once, and again at its first write (FTRC flag 0). */
  readonly reduced: boolean;
  readonly events: U32; // @frozen (region * 512 + (vpn & 511)) * 4 + kind
  readonly regions: F64; // @frozen region -> its first vpn
  readonly pages: F64; // @frozen distinct vpns in order of first touch
  readonly tickAt: U32; // @frozen for each tick, the number of events before it
  readonly counts: TraceCounts;
  /** Touched pages, gaps of up to 512 pages merged, ascending. */
  readonly vmas: readonly TraceVma[];
  /** 512-entry tables of all four levels that map the pages. */
  readonly pageTables: number;
  /** What its pages were, from its sidecar, if that was asked for. */
  readonly ranges?: readonly TraceRange[];
}

/** Gaps of up to this many untouched pages belong to the VMA around them. */
export const VMA_GAP_PAGES = 512;

/** @returns the vpn of an event word of `trace` @context any thread; does not block */
export function eventVpn(trace: Trace, event: number): number {
  const slot = event >>> 2;
  return trace.regions[slot >>> 9]! + (slot & (REGION_PAGES - 1));
}

/** An append-only list of 32-bit words that doubles as it fills. */
class GrowingU32 {
  #words: Uint32Array;
  length = 0;

  constructor(capacity = 1024) {
    this.#words = new Uint32Array(Math.max(capacity, 16));
  }

  push(word: number): void {
    if (this.length === this.#words.length) {
      const wider = new Uint32Array(this.length * 2);
      wider.set(this.#words);
      this.#words = wider;
    }
    this.#words[this.length++] = word;
  }

  at(index: number): number {
    return this.#words[index]!;
  }

  toShared(): U32 {
    const shared = new Uint32Array(new SharedArrayBuffer(this.length * 4));
    shared.set(this.#words.subarray(0, this.length));
    return shared;
  }
}

function toSharedF64(values: readonly number[]): F64 {
  const shared = new Float64Array(new SharedArrayBuffer(values.length * 8));
  shared.set(values);
  return shared;
}

/** Merges ascending vpns into VMAs. */
function mergeVmas(sorted: Float64Array): TraceVma[] {
  const vmas: TraceVma[] = [];
  let start = sorted[0];
  if (start === undefined) return vmas;
  let end = start + 1;
  for (const vpn of sorted) {
    if (vpn - end > VMA_GAP_PAGES) {
      vmas.push({ start, end });
      start = vpn;
    }
    end = vpn + 1;
  }
  vmas.push({ start, end });
  return vmas;
}

/** Tables that map the regions: one leaf each, what stands above them, and the one root. */
function countPageTables(regions: readonly number[]): number {
  const middle = new Set<number>();
  const upper = new Set<number>();
  for (const first of regions) {
    middle.add(Math.floor(first / 2 ** 18));
    upper.add(Math.floor(first / 2 ** 27));
  }
  return regions.length + middle.size + upper.size + 1;
}

/** Collects events one by one. One thread only; `finish` ends its life. */
export class TraceBuilder {
  readonly #name: string;
  readonly #format: TraceFormat;
  readonly #events: GrowingU32;
  readonly #tickAt = new GrowingU32(16);
  readonly #slots = new GrowingU32();
  readonly #regionOf = new Map<number, number>();
  readonly #regions: number[] = [];
  readonly #counts = [0, 0, 0];
  #seen = new Uint8Array(16 * REGION_PAGES);
  /** First vpn of the region of the last event, and that region's first slot. */
  #first = Number.NaN;
  #base = 0;

  /** @param eventsHint events expected; only an amount the input really has room for */
  constructor(name: string, format: TraceFormat, eventsHint = 1024) {
    this.#name = name;
    this.#format = format;
    this.#events = new GrowingU32(eventsHint);
  }

  get length(): number {
    return this.#events.length;
  }

  /**
   * Adds an access.
   * @param vpn integer in 0 .. VPN_LIMIT-1, checked by the caller
   * @param kind KIND_READ, KIND_WRITE or KIND_IFETCH, checked by the caller
   * @returns false, and adds nothing, when the trace would have more than REGIONS_MAX regions
   */
  add(vpn: number, kind: number): boolean {
    let inRegion = vpn - this.#first;
    if (!(inRegion >= 0 && inRegion < REGION_PAGES)) {
      if (!this.#enterRegion(vpn)) return false;
      inRegion = vpn - this.#first;
    }
    const slot = this.#base + inRegion;
    if (this.#seen[slot] === 0) {
      this.#seen[slot] = 1;
      this.#slots.push(slot);
    }
    this.#counts[kind]!++;
    this.#events.push(slot * 4 + kind);
    return true;
  }

  /** Adds the end of a window. */
  tick(): void {
    this.#tickAt.push(this.#events.length);
  }

  #enterRegion(vpn: number): boolean {
    const key = Math.floor(vpn / REGION_PAGES);
    let region = this.#regionOf.get(key);
    if (region === undefined) {
      region = this.#regions.length;
      if (region === REGIONS_MAX) return false;
      this.#regionOf.set(key, region);
      this.#regions.push(key * REGION_PAGES);
      if ((region + 1) * REGION_PAGES > this.#seen.length) {
        const wider = new Uint8Array(this.#seen.length * 2);
        wider.set(this.#seen);
        this.#seen = wider;
      }
    }
    this.#first = key * REGION_PAGES;
    this.#base = region * REGION_PAGES;
    return true;
  }

  /** @param reduced the events are windowed-distinct @returns the finished trace */
  finish(reduced = false): Trace {
    const pages = new Float64Array(new SharedArrayBuffer(this.#slots.length * 8));
    for (let i = 0; i < pages.length; i++) {
      const slot = this.#slots.at(i);
      pages[i] = this.#regions[slot >>> 9]! + (slot & (REGION_PAGES - 1));
    }
    const [reads, writes, ifetches] = this.#counts as [number, number, number];
    const ticks = this.#tickAt.length;
    return {
      name: this.#name,
      format: this.#format,
      reduced,
      events: this.#events.toShared(),
      regions: toSharedF64(this.#regions),
      pages,
      tickAt: this.#tickAt.toShared(),
      counts: { reads, writes, ifetches, ticks, records: this.#events.length + ticks },
      vmas: mergeVmas(Float64Array.from(pages).sort()),
      pageTables: countPageTables(this.#regions),
    };
  }
}
