// SPDX-License-Identifier: MIT
/**
 * The nodes of sparse tables (xarray.ts): a fixed pool in the arena with a free list under a
 * spinlock.
 *
 *   node state   COUNT in its row            who may touch it
 *   free         next free node, 0 the last  the holder of the pool's lock
 *   in a table   slots used                  the holder of the table's lock; lookups read its slots
 *   taken out    0                           lookups, until their grace period ends
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { spinLock, spinUnlock } from './spinlock.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** Slots of a node. */
export const XA_SLOTS = 64;
/** Marks of an entry. */
export const XA_MARKS = 3;
/** Nodes that a pool can have: node numbers have 26 bits. */
export const XA_NODES_MAX = 2 ** 26 - 2;

// Words of a pool, and of a node's row in `meta`.
const POOL_LOCK = 0;
const POOL_FREE = 1;
const POOL_USED = 2;
export const COUNT = 0;
export const MARKS = 1;
export const META_WORDS = 8;

export interface XaPool {
  readonly words: I32; // @guardedBy pool lock: lock word, first free node, nodes in use
  readonly slots: I32; // @guardedBy the table's lock, by Atomics  @racy lookups under RCU
  readonly meta: I32; // @guardedBy the table's lock: entries used, marks; free list link in COUNT
  readonly nodes: number;
  readonly cls: number;
}

/**
 * @param nodes nodes that all tables together can have (node 0 is not used)
 * @param cls class of the pool's lock
 */
export function declareXaPool(builder: ArenaBuilder, name: string, nodes: number, cls = 0): XaPool {
  assert(nodes >= 0 && nodes <= XA_NODES_MAX, 'too many xarray nodes');
  const rows = nodes + 1;
  const { words } = builder.columns(`${name}.pool`, { words: 'i32' }, LINE_WORDS);
  const { slots } = builder.columns(`${name}.slots`, { slots: 'i32' }, rows * XA_SLOTS);
  const { meta } = builder.columns(`${name}.meta`, { meta: 'i32' }, rows * META_WORDS);
  return { words, slots, meta, nodes, cls };
}

/** Puts every node on the free list. @context once, before any table uses the pool */
export function initXaPool(pool: XaPool): void {
  const { meta, nodes, words } = pool;
  for (let node = 1; node <= nodes; node++) {
    meta[node * META_WORDS + COUNT] = node === nodes ? 0 : node + 1;
  }
  words[POOL_FREE] = nodes === 0 ? 0 : 1;
  words[POOL_USED] = 0;
}

/** @returns nodes in use, those that wait for their grace period included @context any; racy */
export function xaPoolUsed(pool: XaPool): number {
  return Atomics.load(pool.words, POOL_USED);
}

/**
 * Takes a zeroed node.
 * @returns its number, 0 when the pool is empty
 * @context takes the pool's lock
 */
export function xaAllocNode(pool: XaPool): number {
  const { words, meta, slots } = pool;
  spinLock(words, POOL_LOCK, pool.cls);
  const node = words[POOL_FREE] as number;
  if (node !== 0) {
    words[POOL_FREE] = meta[node * META_WORDS + COUNT] as number;
    Atomics.add(words, POOL_USED, 1);
  }
  spinUnlock(words, POOL_LOCK, pool.cls);
  if (node !== 0) {
    slots.fill(0, node * XA_SLOTS, (node + 1) * XA_SLOTS);
    meta.fill(0, node * META_WORDS, (node + 1) * META_WORDS);
  }
  return node;
}

/**
 * Returns a node to its pool: the end of the `free` hook.
 * @context no lookup can still see the node; takes the pool's lock
 */
export function xaFreeNode(pool: XaPool, node: number): void {
  const { words, meta } = pool;
  assert(node > 0 && node <= pool.nodes, 'xarray node out of range');
  spinLock(words, POOL_LOCK, pool.cls);
  meta[node * META_WORDS + COUNT] = words[POOL_FREE] as number;
  words[POOL_FREE] = node;
  Atomics.sub(words, POOL_USED, 1);
  spinUnlock(words, POOL_LOCK, pool.cls);
}

assert(META_WORDS >= MARKS + 2 * XA_MARKS, "a node's marks fit in its row");
