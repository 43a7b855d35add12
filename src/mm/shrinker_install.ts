// SPDX-License-Identifier: GPL-2.0-only
/** The engine's own types of shrinkers, as every thread of a machine has them. */
import { deferredSplitType } from './deferred_split.ts';
import type { Mm } from './mm.ts';
import { shadowShrinkerType } from './shadow_list.ts';
import {
  registerShrinkerType,
  SHRINKER_TYPE_SHADOW,
  SHRINKER_TYPE_SUPER,
  SHRINKER_TYPE_THP,
  SHRINKER_TYPE_ZSWAP,
} from './shrinker_ops.ts';
import { superShrinkerType } from './super_shrinker.ts';
import { zswapShrinkerType } from './zswap_shrinker.ts';

/** Installs them. @context once per thread, before its first reclaim */
export function installShrinkerTypes(m: Mm): void {
  registerShrinkerType(m, SHRINKER_TYPE_SUPER, superShrinkerType);
  registerShrinkerType(m, SHRINKER_TYPE_SHADOW, shadowShrinkerType);
  registerShrinkerType(m, SHRINKER_TYPE_ZSWAP, zswapShrinkerType);
  registerShrinkerType(m, SHRINKER_TYPE_THP, deferredSplitType);
}
