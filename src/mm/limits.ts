// SPDX-License-Identifier: GPL-2.0-only
/** Bounds and constants of the engine, with the relations between them checked at import. */
import { assert } from '../../shared/assert.ts';

/** Simulated CPUs of one machine: each has its own 8-byte slot in every page frame. */
export const CPUS_MAX = 32;
export const NODES_MAX = 16;
export const PROCESSES_MAX = 256;
/** Rows of simulated processes, those of the configuration included. */
export const TASKS_MAX = 1 << 14;
/** Rows of groups: a page names its group in 16 bits. */
export const MEMCGS_MAX = 1 << 16;
/** Longest name of a group, with its end. */
export const MEMCG_NAME_BYTES = 32;
export const PAGE_SIZE = 4096;
export const PAGE_WORDS = PAGE_SIZE / 4;

/** Largest pfn + 1: a page-table entry keeps the pfn above PTE_SHIFT bits of an i32. */
export const PFN_MAX = 1 << 23;
/** Virtual page numbers: four levels of 512 entries. */
export const VPN_MAX = 2 ** 36;
export const PTRS_PER_TABLE = 512;

/** Buddy orders 0 .. MAX_PAGE_ORDER. */
export const MAX_PAGE_ORDER = 10;
export const NR_PAGE_ORDERS = MAX_PAGE_ORDER + 1;

/** Largest order that reclaim makes an effort for; above it, an allocation is costly. */
export const PAGE_ALLOC_COSTLY_ORDER = 3;
/** Pages that reclaim takes from a list in one turn, and a direct reclaimer's target. */
export const SWAP_CLUSTER_MAX = 32;
export const DEF_PRIORITY = 12;
export const MAX_RECLAIM_RETRIES = 16;
/** Entries of a per-CPU LRU batch (PAGEVEC_SIZE of recent kernels). */
export const PAGEVEC_SIZE = 31;
/** Pages that a memcg charge takes into the CPU's stock when the limit allows. */
export const MEMCG_CHARGE_BATCH = 64;
/** Slots of a swap cluster: one lock each. */
export const SWAPFILE_CLUSTER = 256;
/** Slots of a shadow node: XA_CHUNK_SIZE. */
export const SHADOW_NODE_SLOTS = 64;
export const MAX_SWAPPINESS = 200;
/** Least managed pages of a machine. */
export const MEMORY_PAGES_MIN = 512;
/** Events that a CPU may handle before it leaves its section. */
export const SECTION_EVENTS_MAX = 1000;
/** Words of a CPU's access window: so many events, then as many page frames. */
export const ACCESS_WINDOW_WORDS = 2048;

/** Bytes of a page that are the CPUs' slots; the rest is fill. */
export const SLOTS_BYTES = CPUS_MAX * 8;

assert(2 * SECTION_EVENTS_MAX <= ACCESS_WINDOW_WORDS, 'a section fits in the access window');
assert(SWAPFILE_CLUSTER % SHADOW_NODE_SLOTS === 0, 'a shadow node lies in one cluster');
assert(SLOTS_BYTES < PAGE_SIZE / 2, 'most of a page is fill, so that it compresses as memory does');
assert(SWAP_CLUSTER_MAX >= PAGEVEC_SIZE, 'one reclaim turn can take a whole LRU batch');
