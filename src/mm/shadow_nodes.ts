// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shadow nodes: SHADOW_NODE_SLOTS neighbouring slots of the swap cache, which the kernel keeps in
 * one node of its tree (mm/workingset.c, workingset_update_node).
 *
 *   folios in the cache   shadows    on the list shadow_nodes
 *   any                   0          no
 *   1 or more             1 or more  no: the node is needed anyway
 *   0                     1 or more  yes: it holds nothing but history
 *
 * A node is named by its row, 1 and up. Its group and NUMA node are those of its first shadow; it
 * holds a reference on the group while it has shadows, so that the list can be found again. All
 * under swap_cluster: a node lies in one cluster.
 *
 * Which list that is, and how it is kept, is the business of whoever registers a ShadowList;
 * without one nodes are counted and never listed.
 */
import { assert } from '../../shared/assert.ts';
import { spinTryLock } from '../../shared/spinlock.ts';
import { SHADOW_NODE_SLOTS } from './limits.ts';
import { LC_SWAP_CLUSTER } from './lock_order.ts';
import { NODE_NO_LIST, NODE_OFF_LIST, NODE_ON_LIST } from './mapping_types.ts';
import { memcgOnline } from './memcg_css.ts';
import type { Mm } from './mm.ts';
import { clusterLock, clusterOf, clusterUnlock } from './swap_cluster.ts';
import { EV } from './vmstat_items.ts';
import { shadowNid } from './workingset.ts';

/** Results of `shadowIsolate`, as a walk over a list takes them. */
export const SHADOW_REMOVED = 0;
export const SHADOW_SKIP = 1;

/** The list that nodes with only shadows are on. @context all but `prepare`: swap_cluster held */
export interface ShadowList {
  /** Makes a group's list. May fail: the group then has none. @context cgroup_mutex; may block */
  prepare(m: Mm, memcg: number): void;
  /** @returns false when the group has no list */
  add(m: Mm, node: number, nid: number, memcg: number): boolean;
  del(m: Mm, node: number, nid: number, memcg: number): void;
  /** References on a group. */
  get(m: Mm, memcg: number): void;
  put(m: Mm, memcg: number): void;
}

/** Code, not state: the same in every worker. */
let list: ShadowList | null = null;

/** @param implementation null for none @context once per worker, at its start */
export function registerShadowList(implementation: ShadowList | null): void {
  list = implementation;
}

/** The list, once the machine has made it at boot. */
function listOf(m: Mm): ShadowList | null {
  return m.shadowLru[0] === 0 ? null : list;
}

/** @returns the row of the node that a slot lies in */
export function shadowNodeOf(slot: number): number {
  return Math.floor(slot / SHADOW_NODE_SLOTS) + 1;
}

/**
 * A group is about to be online. Its list is made here: where it is used, under folio locks and
 * swap_cluster, nothing can be allocated.
 * @context cgroup_mutex held, or boot; may block
 */
export function shadowNodesPrepare(m: Mm, memcg: number): void {
  listOf(m)?.prepare(m, memcg);
}

/** Sets the folio of a slot, 0 for none. @context swap_cluster held */
export function setSlotCache(m: Mm, slot: number, pfn: number): void {
  const node = shadowNodeOf(slot);
  const delta = (pfn !== 0 ? 1 : 0) - (m.slot.cache[slot] !== 0 ? 1 : 0);
  m.slot.cache[slot] = pfn;
  if (delta === 0) return;
  m.shadowNode.cached[node] = (m.shadowNode.cached[node] as number) + delta;
  updateNode(m, node);
}

/** Sets the shadow of a slot. @param tag 0 for none @context swap_cluster held */
export function setSlotShadow(m: Mm, slot: number, tag: number, age: number): void {
  const node = shadowNodeOf(slot);
  const before = m.shadowNode.shadows[node] as number;
  const after = before + (tag !== 0 ? 1 : 0) - (m.slot.shadowTag[slot] !== 0 ? 1 : 0);
  m.slot.shadowTag[slot] = tag;
  m.slot.shadowAge[slot] = age;
  if (after === before) return;
  m.shadowNode.shadows[node] = after;
  if (before === 0) {
    m.shadowNode.nid[node] = shadowNid(tag);
    ownNode(m, node, m.slot.memcg[slot] as number);
  }
  updateNode(m, node);
  if (after === 0) listOf(m)?.put(m, m.shadowNode.group[node] as number);
}

/** Gives a node to a group, or to the first one above it that is online. */
function ownNode(m: Mm, node: number, memcg: number): void {
  listOf(m)?.get(m, memcg);
  Atomics.store(m.shadowNode.group, node, memcg);
  // PAIRS(shadow-offline): the group is named before its state is looked at.
  if (!memcgOnline(m, memcg)) moveNode(m, node, memcg);
}

/** A node goes to its group's parent, or further up. @context swap_cluster held */
function moveNode(m: Mm, node: number, memcg: number): void {
  let group = memcg;
  while (!memcgOnline(m, group)) group = m.memcg.parent[group] as number;
  listOf(m)?.get(m, group);
  Atomics.store(m.shadowNode.group, node, group);
  listOf(m)?.put(m, memcg);
}

/**
 * Gives a removed group's nodes to its parent, so that history does not keep the group.
 * @context cgroup_mutex held; the group is dying, its lists are the parent's; takes swap_cluster
 */
export function shadowNodesReparent(m: Mm, memcg: number): void {
  const { group, shadows } = m.shadowNode;
  for (let node = 1; node < m.sizes.nrShadowNodes; node++) {
    // PAIRS(shadow-offline): the group is dying before its name is looked for.
    if (Atomics.load(group, node) !== memcg) continue;
    const first = (node - 1) * SHADOW_NODE_SLOTS;
    clusterLock(m, first);
    const still = Atomics.load(group, node) === memcg && (shadows[node] as number) > 0;
    if (still) moveNode(m, node, memcg);
    clusterUnlock(m, first);
  }
}

/** Puts a node on the list, or takes it off, by its counts. */
function updateNode(m: Mm, node: number): void {
  const { shadows, cached, listed, nid, group } = m.shadowNode;
  const wanted = (shadows[node] as number) > 0 && cached[node] === 0;
  const now = listed[node] as number;
  const lru = listOf(m);
  if (wanted === (now !== NODE_OFF_LIST) || lru === null) return;
  if (wanted) {
    const added = lru.add(m, node, nid[node] as number, group[node] as number);
    listed[node] = added ? NODE_ON_LIST : NODE_NO_LIST;
    if (added) Atomics.add(m.node.workingsetNodes, nid[node] as number, 1);
    return;
  }
  listed[node] = NODE_OFF_LIST;
  if (now !== NODE_ON_LIST) return;
  lru.del(m, node, nid[node] as number, group[node] as number);
  Atomics.sub(m.node.workingsetNodes, nid[node] as number, 1);
}

/**
 * Drops the shadows of a node that the walk over a list has come to (shadow_lru_isolate).
 * @param remove takes the node off the list of the walk
 * @returns SHADOW_REMOVED, or SHADOW_SKIP when its cluster is in use: the walk goes on, since a
 *   cluster's holder may be waiting for the list
 * @context the list's lock held; tries swap_cluster, against the order
 */
export function shadowIsolate(m: Mm, node: number, remove: (node: number) => void): number {
  const first = (node - 1) * SHADOW_NODE_SLOTS;
  if (!spinTryLock(m.clusterLock, clusterOf(first), LC_SWAP_CLUSTER)) return SHADOW_SKIP;
  const { shadows, cached, listed, nid, group } = m.shadowNode;
  assert(listed[node] === NODE_ON_LIST && cached[node] === 0, 'a listed node has only shadows');
  const end = Math.min(first + SHADOW_NODE_SLOTS, m.sizes.nrSlots);
  let dropped = 0;
  for (let slot = first; slot < end; slot++) {
    if (m.slot.shadowTag[slot] === 0) continue;
    m.slot.shadowTag[slot] = 0;
    dropped++;
  }
  assert(dropped === shadows[node], 'a node counts shadows that are not there');
  shadows[node] = 0;
  listed[node] = NODE_OFF_LIST;
  Atomics.sub(m.node.workingsetNodes, nid[node] as number, 1);
  const cell = EV.workingset_nodereclaim;
  m.task.events[cell] = (m.task.events[cell] as number) + 1;
  // Under the cluster's lock too: with it the node may go to another group's list at once.
  remove(node);
  listOf(m)?.put(m, group[node] as number);
  clusterUnlock(m, first);
  return SHADOW_REMOVED;
}
