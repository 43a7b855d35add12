// SPDX-License-Identifier: GPL-2.0-only
/** The engine's own types of shrinkers, as every thread of a machine has them. */
import type { Mm } from './mm.ts';
import { registerShrinkerType, SHRINKER_TYPE_SUPER } from './shrinker_ops.ts';
import { superShrinkerType } from './super_shrinker.ts';

/** Installs them. @context once per thread, before its first reclaim */
export function installShrinkerTypes(m: Mm): void {
  registerShrinkerType(m, SHRINKER_TYPE_SUPER, superShrinkerType);
}
