// SPDX-License-Identifier: GPL-2.0-only
/**
 * The list_lru that shadow nodes are on, and its shrinker (mm/workingset.c, shadow_nodes): what
 * binds shadow_nodes.ts and workingset_shrinker.ts to the machine's lists and groups.
 */
import { ENOMEM } from './errno.ts';
import {
  LRU_REMOVED,
  LRU_SKIP,
  listLruAdd,
  listLruCount,
  listLruDel,
  listLruInit,
  listLruIsolate,
  listLruMemcgAlloc,
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
    listLruMemcgAlloc(m, m.shadowLru[0] as number, memcg);
  },
  add: (m, node, nid, memcg) =>
    listLruAdd(m, m.shadowLru[0] as number, itemOfNode(m, node), nid, memcg),
  del: (m, node, nid, memcg) => {
    listLruDel(m, m.shadowLru[0] as number, itemOfNode(m, node), nid, memcg);
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
        if (!isolate(item - m.sizes.lists.firstShadow)) return LRU_SKIP;
        listLruIsolate(m, item, list);
        return LRU_REMOVED;
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
