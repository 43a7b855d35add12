// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim/shrinker`: what a module with a shrinker type of the user's own needs at run time.
 * Small, because every thread of a machine loads it.
 */
export type { ShrinkerOptions } from '../kthreads/shrinker_options.ts';
export type { UserShrinker, UserShrinkerFactory } from '../kthreads/user_shrinkers.ts';
export {
  DEFAULT_SEEKS,
  GFP_FS,
  GFP_IO,
  GFP_KERNEL,
  GFP_NOFS,
  SHRINK_BATCH,
  SHRINK_EMPTY,
  SHRINK_STOP,
  type ShrinkControl,
} from './mm/shrinker_ops.ts';
