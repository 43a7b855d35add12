// SPDX-License-Identifier: GPL-2.0-only
/** The group `locks`: every lock of kreclaim/sync, and what threads wait with. */
import type { TortureType } from './job.ts';
import { EXCLUSION_TYPES } from './lock_exclusion.ts';
import { REFCOUNT_TYPE } from './lock_refcount.ts';
import { SEQLOCK_TYPE } from './lock_seqlock.ts';
import { WAITING_TYPES } from './lock_waiting.ts';

/** Types of the group. */
export const types = [
  ...EXCLUSION_TYPES,
  SEQLOCK_TYPE,
  ...WAITING_TYPES,
  REFCOUNT_TYPE,
] as readonly TortureType[];
