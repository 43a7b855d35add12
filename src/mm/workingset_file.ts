// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shadows of pages of files: where the entry of a page was, one negative number says when and for
 * whom it went (mm/workingset.c, pack_shadow).
 *
 *   bits   31: set   workingset   node   group   the rest: age >> bucket order
 *
 * Nodes and groups take as many bits as the machine has of them. The age is cut so that what is
 * left spans at least all pages of the machine; a distance is exact to a bucket. As in the kernel
 * nothing tells a group from a later one with its row.
 */

import { lruvecRow } from './lruvec.ts';
import { memcgSerial } from './memcg_css.ts';
import type { Mm } from './mm.ts';
import { MEMCG_FREE } from './mm_types.ts';
import {
  makeShadowTag,
  shadowAgeOut,
  shadowNid,
  shadowWorkingset,
  workingsetEviction,
  workingsetRefault,
} from './workingset.ts';

/** What a new page of a file found in its entry: a shadow, or 0. Private to the thread. */
export const fileShadow = { entry: 0 };

/** How a machine packs. Follows from its sizes. */
interface Packing {
  readonly nidBits: number;
  readonly memcgBits: number;
  readonly ageBits: number;
  readonly bucketOrder: number;
}

const packings = new WeakMap<Mm, Packing>();

/** Bits that numbers below `count` need. */
function bitsFor(count: number): number {
  return 32 - Math.clz32(Math.max(count - 1, 0));
}

function packingOf(m: Mm): Packing {
  let packing = packings.get(m);
  if (packing === undefined) {
    const nidBits = bitsFor(m.sizes.nrNodes);
    const memcgBits = bitsFor(m.sizes.nrMemcgs);
    const ageBits = 31 - 1 - nidBits - memcgBits;
    const bucketOrder = Math.max(bitsFor(m.sizes.nrPages) - ageBits, 0);
    packing = { nidBits, memcgBits, ageBits, bucketOrder };
    packings.set(m, packing);
  }
  return packing;
}

/**
 * The shadow of a page of a file that is being evicted.
 * @param targetMemcg group at whose limit reclaim runs; the root for global reclaim
 * @returns a negative number
 * @context the folio is frozen
 */
export function packShadow(m: Mm, pfn: number, targetMemcg: number): number {
  const { nidBits, memcgBits, ageBits, bucketOrder } = packingOf(m);
  const tag = workingsetEviction(m, pfn, targetMemcg);
  const workingset = shadowWorkingset(tag) ? 1 : 0;
  const age = (shadowAgeOut.age >>> bucketOrder) & ((1 << ageBits) - 1);
  const who = (((workingset << nidBits) | shadowNid(tag)) << memcgBits) | targetMemcg;
  return 0x80000000 | (who << ageBits) | age;
}

/**
 * A page of a file comes back: counts, and activates it if it belongs to the working set.
 * @param shadow what its entry held: 0 or a pfn is no shadow
 * @context the folio is locked, and on no list yet
 */
export function workingsetRefaultFile(m: Mm, pfn: number, shadow: number): void {
  if (shadow >= 0) return;
  const { nidBits, memcgBits, ageBits, bucketOrder } = packingOf(m);
  const mask = (1 << ageBits) - 1;
  const who = (shadow & 0x7fffffff) >>> ageBits;
  const memcg = who & ((1 << memcgBits) - 1);
  const nid = (who >>> memcgBits) & ((1 << nidBits) - 1);
  if (Atomics.load(m.memcg.state, memcg) === MEMCG_FREE) return;
  const workingset = who >>> (memcgBits + nidBits);
  const now = Atomics.load(m.lruvec.nonresidentAge, lruvecRow(m, memcg, nid));
  const distance = (((now >>> bucketOrder) - (shadow & mask)) & mask) << bucketOrder;
  const tag = makeShadowTag(memcgSerial(m, memcg), nid, memcg, workingset !== 0);
  workingsetRefault(m, pfn, tag, (now - distance) | 0, true);
}
