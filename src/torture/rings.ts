// SPDX-License-Identifier: GPL-2.0-only
/** The group `rings`: rings, tables and counters of kreclaim/sync. */
import type { TortureType } from './job.ts';
import { OWN_ROW_TYPES } from './ring_own.ts';
import { TABLE_TYPES } from './ring_shared.ts';
import { RING_TYPES } from './ring_spsc.ts';

/** Types of the group. */
export const types = [...RING_TYPES, ...OWN_ROW_TYPES, ...TABLE_TYPES] as readonly TortureType[];
