// SPDX-License-Identifier: GPL-2.0-only
/**
 * The store behind zram: objects of a few size classes in memory of its own (mm/zsmalloc.c, without
 * its movable pages).
 *
 * Memory is cut into blocks of ZS_PAGES_PER_BLOCK pages. A block belongs to one size class and
 * holds objects of that size back to back, so an object may straddle pages. Each class has a list
 * of blocks with room. An object's handle is its block and its position in it.
 *
 * Per block: a free bitmap would cost 64 bytes; instead free objects are chained through their own
 * first word, as a slab does, so a block costs six words of metadata.
 */
import { assert, bug } from '../../shared/assert.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { LC_ZS_CLASS, LC_ZS_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  ZS_BLOCK_BYTES,
  ZS_BUFFER_BLOCKS,
  ZS_BUFFER_SHIFT,
  ZS_CLASSES,
  ZS_POOL_ZRAM,
  ZS_POOLS,
  zsBlocks,
  zsClassBytes,
  zsSizeClass,
} from './zsmalloc_sizes.ts';

export const ZS_HANDLE_NONE = 0;

/** Block row. Block 0 is reserved so that no handle is 0. All @guardedBy zsmalloc_class. */
const BLOCK_CLASS = 0; // class + 1; 0 while free
const BLOCK_USED = 1; // objects in use
const BLOCK_FREE = 2; // first free object + 1, chained through the objects' first words
const BLOCK_FRESH = 3; // objects handed out at least once
const BLOCK_NEXT = 4; // partial list, or the pool's free list
const BLOCK_PREV = 5;
const BLOCK_WORDS = 6;

/** Class row: word 0 first block with room, 1 objects in use, 2 blocks. */
const CLASS_WORDS = 8;

/** Pool row: see mm.ts. */
const POOL_FRESH = 1;
const POOL_FREE = 2;
const POOL_BLOCKS = 3;
/** From here on: blocks of each ZS_POOL_*. */
const POOL_EACH = 6;

const HANDLE_OBJECT_BITS = 9;

/** By class of any pool: words of an object, and objects of a block. */
const OBJECT_WORDS = Int32Array.from(
  { length: ZS_POOLS * ZS_CLASSES },
  (_, cls) => zsClassBytes(cls % ZS_CLASSES) / 4,
);
const BLOCK_OBJECTS = OBJECT_WORDS.map((words) => ZS_BLOCK_BYTES / 4 / words);

/**
 * Room for `size` bytes.
 * @param pool ZS_POOL_*
 * @returns a handle, or ZS_HANDLE_NONE when the store is full
 * @context takes zsmalloc_class, then zsmalloc_pool
 */
export function zsMalloc(m: Mm, size: number, pool: number = ZS_POOL_ZRAM): number {
  const cls = pool * ZS_CLASSES + zsSizeClass(size);
  const row = cls * CLASS_WORDS;
  spinLock(m.zsClassLock, cls * LINE_WORDS, LC_ZS_CLASS);
  let block = m.zsClass[row] as number;
  if (block === 0) {
    block = takeBlock(m, pool);
    if (block === 0) {
      spinUnlock(m.zsClassLock, cls * LINE_WORDS, LC_ZS_CLASS);
      return ZS_HANDLE_NONE;
    }
    const base = block * BLOCK_WORDS;
    m.zsPage[base + BLOCK_CLASS] = cls + 1;
    m.zsPage[base + BLOCK_USED] = 0;
    m.zsPage[base + BLOCK_FREE] = 0;
    m.zsPage[base + BLOCK_FRESH] = 0;
    pushPartial(m, row, block);
    m.zsClass[row + 2] = (m.zsClass[row + 2] as number) + 1;
  }
  const base = block * BLOCK_WORDS;
  const object = takeObject(m, block, cls);
  const used = (m.zsPage[base + BLOCK_USED] as number) + 1;
  m.zsPage[base + BLOCK_USED] = used;
  if (used === objectsPerBlock(cls)) unlinkPartial(m, row, block);
  m.zsClass[row + 1] = (m.zsClass[row + 1] as number) + 1;
  spinUnlock(m.zsClassLock, cls * LINE_WORDS, LC_ZS_CLASS);
  return (block << HANDLE_OBJECT_BITS) | object;
}

/**
 * Gives an object back; an empty block returns to the pool. @context takes zsmalloc_class, then
 * zsmalloc_pool
 */
export function zsFree(m: Mm, handle: number): void {
  const block = handle >>> HANDLE_OBJECT_BITS;
  const object = handle & ((1 << HANDLE_OBJECT_BITS) - 1);
  const base = block * BLOCK_WORDS;
  // Constant while the block has an object in use, and this one is.
  const cls = (m.zsPage[base + BLOCK_CLASS] as number) - 1;
  if (cls < 0) bug(`zsmalloc: freeing handle ${handle} of a free block`);
  const row = cls * CLASS_WORDS;
  spinLock(m.zsClassLock, cls * LINE_WORDS, LC_ZS_CLASS);
  const used = (m.zsPage[base + BLOCK_USED] as number) - 1;
  assert(used >= 0, 'zsmalloc block has fewer objects than are freed');
  wordsOf(m, block)[objectWord(block, cls, object)] = m.zsPage[base + BLOCK_FREE] as number;
  m.zsPage[base + BLOCK_FREE] = object + 1;
  m.zsPage[base + BLOCK_USED] = used;
  m.zsClass[row + 1] = (m.zsClass[row + 1] as number) - 1;
  if (used + 1 === objectsPerBlock(cls)) pushPartial(m, row, block);
  if (used === 0) {
    unlinkPartial(m, row, block);
    m.zsClass[row + 2] = (m.zsClass[row + 2] as number) - 1;
    m.zsPage[base + BLOCK_CLASS] = 0;
    putBlock(m, block, Math.floor(cls / ZS_CLASSES));
  }
  spinUnlock(m.zsClassLock, cls * LINE_WORDS, LC_ZS_CLASS);
}

/** Byte offset of an object in its buffer of the store. */
function offsetOf(m: Mm, handle: number): number {
  const block = handle >>> HANDLE_OBJECT_BITS;
  const cls = (m.zsPage[block * BLOCK_WORDS + BLOCK_CLASS] as number) - 1;
  assert(cls >= 0, 'zsmalloc handle of a free block');
  return objectWord(block, cls, handle & ((1 << HANDLE_OBJECT_BITS) - 1)) * 4;
}

function bytesOf(m: Mm, handle: number): Uint8Array {
  return m.store8[handle >>> (HANDLE_OBJECT_BITS + ZS_BUFFER_SHIFT)] as Uint8Array;
}

function wordsOf(m: Mm, block: number): Uint32Array {
  return m.store32[block >>> ZS_BUFFER_SHIFT] as Uint32Array;
}

/** Fills an object. @param bytes as many as it was made for, at most @context who owns it */
export function zsWrite(m: Mm, handle: number, bytes: Uint8Array): void {
  bytesOf(m, handle).set(bytes, offsetOf(m, handle));
}

/** @returns a view of an object's first `length` bytes @context who owns it, while it does */
export function zsView(m: Mm, handle: number, length: number): Uint8Array {
  const at = offsetOf(m, handle);
  return bytesOf(m, handle).subarray(at, at + length);
}

/** Objects in use and blocks taken, over all classes of a pool. @context exact at quiescence */
export function zsUsage(
  m: Mm,
  pool: number = ZS_POOL_ZRAM,
): { objects: number; blocks: number; bytes: number } {
  let objects = 0;
  let blocks = 0;
  const first = pool * ZS_CLASSES * CLASS_WORDS;
  for (let row = first; row < first + ZS_CLASSES * CLASS_WORDS; row += CLASS_WORDS) {
    objects += m.zsClass[row + 1] as number;
    blocks += m.zsClass[row + 2] as number;
  }
  return { objects, blocks, bytes: blocks * ZS_BLOCK_BYTES };
}

function objectsPerBlock(cls: number): number {
  return BLOCK_OBJECTS[cls] as number;
}

/** In the block's buffer. */
function objectWord(block: number, cls: number, object: number): number {
  const start = (block & (ZS_BUFFER_BLOCKS - 1)) * (ZS_BLOCK_BYTES / 4);
  return start + object * (OBJECT_WORDS[cls] as number);
}

function takeObject(m: Mm, block: number, cls: number): number {
  const base = block * BLOCK_WORDS;
  const free = m.zsPage[base + BLOCK_FREE] as number;
  if (free !== 0) {
    m.zsPage[base + BLOCK_FREE] = wordsOf(m, block)[objectWord(block, cls, free - 1)] as number;
    return free - 1;
  }
  const fresh = m.zsPage[base + BLOCK_FRESH] as number;
  assert(fresh < objectsPerBlock(cls), 'zsmalloc block on the partial list is full');
  m.zsPage[base + BLOCK_FRESH] = fresh + 1;
  return fresh;
}

function pushPartial(m: Mm, row: number, block: number): void {
  const first = m.zsClass[row] as number;
  m.zsPage[block * BLOCK_WORDS + BLOCK_NEXT] = first;
  m.zsPage[block * BLOCK_WORDS + BLOCK_PREV] = 0;
  if (first !== 0) m.zsPage[first * BLOCK_WORDS + BLOCK_PREV] = block;
  m.zsClass[row] = block;
}

function unlinkPartial(m: Mm, row: number, block: number): void {
  const next = m.zsPage[block * BLOCK_WORDS + BLOCK_NEXT] as number;
  const prev = m.zsPage[block * BLOCK_WORDS + BLOCK_PREV] as number;
  if (prev === 0) m.zsClass[row] = next;
  else m.zsPage[prev * BLOCK_WORDS + BLOCK_NEXT] = next;
  if (next !== 0) m.zsPage[next * BLOCK_WORDS + BLOCK_PREV] = prev;
}

/** @returns a block, or 0 when there is none left @context takes zsmalloc_pool */
function takeBlock(m: Mm, pool: number): number {
  spinLock(m.zsPool, 0, LC_ZS_POOL);
  let block = m.zsPool[POOL_FREE] as number;
  if (block !== 0) {
    m.zsPool[POOL_FREE] = m.zsPage[block * BLOCK_WORDS + BLOCK_NEXT] as number;
  } else {
    const fresh = (m.zsPool[POOL_FRESH] as number) + 1;
    if (fresh < zsBlocks(m.sizes.nrZramPages)) {
      m.zsPool[POOL_FRESH] = fresh;
      block = fresh;
    }
  }
  if (block !== 0) {
    m.zsPool[POOL_BLOCKS] = (m.zsPool[POOL_BLOCKS] as number) + 1;
    Atomics.add(m.zsPool, POOL_EACH + pool, 1);
  }
  spinUnlock(m.zsPool, 0, LC_ZS_POOL);
  return block;
}

function putBlock(m: Mm, block: number, pool: number): void {
  spinLock(m.zsPool, 0, LC_ZS_POOL);
  m.zsPage[block * BLOCK_WORDS + BLOCK_NEXT] = m.zsPool[POOL_FREE] as number;
  m.zsPool[POOL_FREE] = block;
  m.zsPool[POOL_BLOCKS] = (m.zsPool[POOL_BLOCKS] as number) - 1;
  Atomics.sub(m.zsPool, POOL_EACH + pool, 1);
  spinUnlock(m.zsPool, 0, LC_ZS_POOL);
}
