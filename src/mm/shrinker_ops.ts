// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a shrinker's owner brings: two callbacks, and what they are told (struct shrink_control).
 *
 * Code does not cross threads: every thread installs the same types under the same numbers, and a
 * shrinker, which is a row of the arena, names one of them.
 */
import { bug } from '../../shared/assert.ts';
import type { Mm } from './mm.ts';

/** A scan that can make no progress now: work is put off. */
export const SHRINK_STOP = -1;
/** A count that found the list empty, as against "nothing to free now" (0). */
export const SHRINK_EMPTY = -2;
/** Objects of one scan, unless the shrinker says otherwise. */
export const SHRINK_BATCH = 128;
export const DEFAULT_SEEKS = 2;

/** The reclaimer may enter file systems, start I/O. */
export const GFP_FS = 1;
export const GFP_IO = 2;
export const GFP_KERNEL = GFP_FS | GFP_IO;
export const GFP_NOFS = GFP_IO;

/** Rows of the types. */
export const SHRINKER_TYPE_SUPER = 0;
export const SHRINKER_TYPE_SHADOW = 1;
export const SHRINKER_TYPE_ZSWAP = 2;
export const SHRINKER_TYPE_THP = 3;
/** The first of the configuration's own. */
export const SHRINKER_TYPE_USER = 4;

/** What callbacks are told. One record per thread, reused: not to be kept. */
export interface ShrinkControl {
  nid: number;
  /** The group whose objects are meant; 0, the root, for a shrinker that tells none apart. */
  memcg: number;
  /** GFP_* bits of the reclaimer. */
  gfp: number;
  /** Objects to scan; the callback may scan fewer, and says so in `nrScanned`. */
  nrToScan: number;
  nrScanned: number;
  /** The shrinker's row, and its private data. */
  shrinker: number;
  arg: number;
}

/** The callbacks of a type. Both may sleep; neither may free its own shrinker. */
export interface ShrinkerType {
  /** @returns objects that could be freed, 0 when none can be now, or SHRINK_EMPTY */
  countObjects(m: Mm, sc: ShrinkControl): number;
  /** Frees up to `sc.nrToScan` objects. @returns objects freed, or SHRINK_STOP */
  scanObjects(m: Mm, sc: ShrinkControl): number;
}

/** @returns a record with nothing in it */
export function shrinkControl(): ShrinkControl {
  return { nid: 0, memcg: 0, gfp: GFP_KERNEL, nrToScan: 0, nrScanned: 0, shrinker: 0, arg: 0 };
}

/**
 * Installs a type in this thread.
 * @param index SHRINKER_TYPE_*; the same in every thread of the machine
 * @context once per thread and index, before its first reclaim
 */
export function registerShrinkerType(m: Mm, index: number, type: ShrinkerType): void {
  if (m.shrinkerTypes[index] !== undefined) bug(`shrinker type ${index} installed twice`);
  m.shrinkerTypes[index] = type;
}

/** @throws BugError when this thread does not have it */
export function shrinkerType(m: Mm, s: number): ShrinkerType {
  const index = m.shrinker.type[s] as number;
  return m.shrinkerTypes[index] ?? bug(`shrinker ${s}: this thread has no type ${index}`);
}
