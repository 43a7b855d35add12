// SPDX-License-Identifier: GPL-2.0-only
/** Size classes of the zram store: multiples of 32 bytes, as zsmalloc's are of 16. */
import { assert } from '../../shared/assert.ts';
import { PAGE_SIZE } from './limits.ts';

export const ZS_GRANULE = 32;
/** Largest object of a class; what compresses worse is kept raw, in the last class. */
export const ZS_MAX_COMPRESSED = 3584;
/** Pages of a block; the objects of one class are cut from blocks. */
export const ZS_PAGES_PER_BLOCK = 4;
export const ZS_BLOCK_BYTES = ZS_PAGES_PER_BLOCK * PAGE_SIZE;
/** Blocks of one buffer of the store, 1 GiB: a view of bytes cannot have more than 4. */
export const ZS_BUFFER_SHIFT = 16;
export const ZS_BUFFER_BLOCKS = 1 << ZS_BUFFER_SHIFT;
/** One class per granule up to ZS_MAX_COMPRESSED, and one for raw pages. */
export const ZS_CLASSES = ZS_MAX_COMPRESSED / ZS_GRANULE + 1;
export const ZS_RAW_CLASS = ZS_CLASSES - 1;

/** Whose objects: blocks of one are not shared with the other. */
export const ZS_POOL_ZRAM = 0;
export const ZS_POOL_ZSWAP = 1;
export const ZS_POOLS = 2;

/** @returns whole blocks in so many pages */
export function zsBlocks(pages: number): number {
  return Math.floor(pages / ZS_PAGES_PER_BLOCK);
}

/** Bytes of an object of a class. */
export function zsClassBytes(cls: number): number {
  return cls === ZS_RAW_CLASS ? PAGE_SIZE : (cls + 1) * ZS_GRANULE;
}

/** Class for `size` bytes, 1 .. ZS_MAX_COMPRESSED, or PAGE_SIZE. */
export function zsSizeClass(size: number): number {
  return size > ZS_MAX_COMPRESSED ? ZS_RAW_CLASS : Math.ceil(size / ZS_GRANULE) - 1;
}

assert(ZS_MAX_COMPRESSED % ZS_GRANULE === 0, 'classes are whole granules');
assert(
  ZS_BLOCK_BYTES / ZS_GRANULE <= 512,
  'a block has at most 512 objects: a handle has 9 bits for them',
);
