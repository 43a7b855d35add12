// SPDX-License-Identifier: GPL-2.0-only
/**
 * The list_lru that shadow nodes are on, and its shrinker (mm/workingset.c, shadow_nodes): what
 * binds shadow_nodes.ts and workingset_shrinker.ts to the machine's lists and groups.
 */
import { bug } from '../../shared/assert.ts';
import { ENOMEM } from './errno.ts';
import {
  LRU_REMOVED,
  LRU_SKIP,
  listLruAdd,
  listLruCount,
  listLruDel,
  listLruInit,
  listLruIsolate,
  listLruMemcgMake,
  listLruOnList,
  listLruWalk,
} from './list_lru.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import type { Mm } from './mm.ts';
import { registerShadowList } from './shadow_nodes.ts';
import { shrinkerAlloc, shrinkerRegister } from './shrinker.ts';
import { SHRINKER_TYPE_SHADOW, type ShrinkerType } from './shrinker_ops.ts';
import { shadowShrinker, workingsetInit } from './workingset_shrinker.ts';

/** Item of a node: they lie behind the kernel objects. */
function itemOfNode(m: Mm, node: number): number {
  return m.sizes.lists.firstShadow + node;
}

registerShadowList({
  prepare: (m, memcg) => {
    listLruMemcgMake(m, m.shadowLru[0] as number, memcg);
  },
  add: (m, node, nid, memcg) => {
    const item = itemOfNode(m, node);
    const added = listLruAdd(m, m.shadowLru[0] as number, item, nid, memcg);
    if (!added && listLruOnList(m, item)) bug(`shadow node ${node} is on a list already`);
    return added;
  },
  del: (m, node, nid, memcg) => {
    const removed = listLruDel(m, m.shadowLru[0] as number, itemOfNode(m, node), nid, memcg);
    if (!removed) bug(`shadow node ${node} is not on its list`);
  },
  get: memcgGet,
  put: memcgPut,
});

/** Callbacks of the machine's shrinker of shadow nodes. */
export const shadowShrinkerType: ShrinkerType = shadowShrinker({
  count: listLruCount,
  walk: (m, lru, nid, memcg, isolate, nr) =>
    listLruWalk(
      m,
      lru,
      nid,
      memcg,
      (_, item, list) => {
        const remove = (node: number): void => listLruIsolate(m, itemOfNode(m, node), list);
        return isolate(item - m.sizes.lists.firstShadow, remove) ? LRU_REMOVED : LRU_SKIP;
      },
      nr,
    ),
});

/**
 * Makes the list and the shrinker, where there is swap to remember.
 * @returns 0, or an errno
 * @context boot, before there are groups
 */
export function shadowListInit(m: Mm): number {
  if (m.sizes.nrSlots === 0) return 0;
  return workingsetInit(m, {
    listLruInit,
    shrinkerAlloc: (mm, flags, name) =>
      m.sizes.shrinkers.nrShrinkers <= 1
        ? ENOMEM
        : shrinkerAlloc(mm, flags, SHRINKER_TYPE_SHADOW, 0, name),
    shrinkerRegister,
  });
}
