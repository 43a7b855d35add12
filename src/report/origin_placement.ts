// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where contended folios are put, against how old they are: each thread that reclaims looks at the
 * list on which such a folio has just been put back, and ranks it by the time of its last access.
 * Rank 0 is the head of the list, or the youngest; 1 is the tail, or the oldest.
 */
import { ktimeSharedMs } from '../../shared/ktime.ts';
import type { F64 } from '../../shared/types.ts';
import { folioLruList } from '../mm/folio.ts';
import { lruHead } from '../mm/lruvec.ts';
import type { Mm } from '../mm/mm.ts';
import { PG_LRU } from '../mm/mm_types.ts';
import { contended } from '../mm/rmap_contended.ts';

/** Folios that one thread looks at, and of one batch; time between two batches that it looks at. */
const RECORDS_MAX = 1000;
const RECORDS_PER_BATCH = 4;
const PAUSE_MS = 1;
/** Fields of a record: where it was put, where its age belongs. */
const RECORD = 2;
/** Words of one thread: how many, then the records. */
export const RECORD_WORDS = 1 + RECORDS_MAX * RECORD;

/** One contended folio. */
export interface Placement {
  /** Position on its list, 0 at the head .. 1 at the tail. */
  readonly placed: number;
  /** The part of its list that was accessed after it: 0 the youngest .. 1 the oldest. */
  readonly age: number;
}

/** Stamps of a list, head first. Private to the thread. */
const listed: number[] = [];

/** Finds a folio's rank on its list. @returns -1 when it is not there @context lru_lock held */
function rank(m: Mm, lruvec: number, pfn: number, stamps: F64): number {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_LRU) === 0) return -1;
  const head = lruHead(m, lruvec, folioLruList(flags));
  listed.length = 0;
  let found = -1;
  const { next } = m.link;
  for (let at = next[head] as number; at !== head; at = next[at] as number) {
    if (at === pfn) found = listed.length;
    listed.push(stamps[at] as number);
  }
  return found;
}

/** Makes this thread look at the contended folios that it puts back. */
export function observePlacement(args: {
  readonly stamps: F64;
  readonly records: F64;
  readonly index: number;
}): void {
  const { stamps, records } = args;
  const base = args.index * RECORD_WORDS;
  let lookedMs = 0;
  contended.observe = (m, lruvec) => {
    const now = ktimeSharedMs();
    if (now - lookedMs < PAUSE_MS) return;
    lookedMs = now;
    for (const pfn of new Set(contended.pfns.slice(0, RECORDS_PER_BATCH))) {
      const nr = records[base] as number;
      if (nr === RECORDS_MAX) return;
      const position = rank(m, lruvec, pfn, stamps);
      if (position < 0 || listed.length < 2) continue;
      const own = listed[position] as number;
      const younger = listed.reduce((sum, other) => sum + (other > own ? 1 : 0), 0);
      records[base + 1 + nr * RECORD] = position / (listed.length - 1);
      records[base + 2 + nr * RECORD] = younger / (listed.length - 1);
      records[base] = nr + 1;
    }
  };
}

/** @param threads those that had a part of `records` */
export function readPlacements(records: F64, threads: number): Placement[] {
  const all: Placement[] = [];
  for (let thread = 0; thread < threads; thread++) {
    const base = thread * RECORD_WORDS;
    for (let i = 0; i < (records[base] as number); i++) {
      const at = base + 1 + i * RECORD;
      all.push({ placed: records[at] as number, age: records[at + 1] as number });
    }
  }
  return all;
}
