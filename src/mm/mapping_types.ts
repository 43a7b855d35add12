// SPDX-License-Identifier: GPL-2.0-only
/** Tables of files and of shadow nodes (struct address_space; struct xa_node of the swap cache). */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import { declareXaPool } from '../../shared/xarray.ts';
import type { MmConfig } from './config.ts';
import { SHADOW_NODE_SLOTS } from './limits.ts';
import { LC_FILE_NODES } from './lock_order.ts';

/** One row per inode: the pages of its file. An entry is a pfn, or minus the slot that has it. */
export const MAPPING_COLUMNS = {
  head: 'i32', // @guardedBy i_pages  sparse table by page index  @racy lookups: under RCU
  seqHead: 'i32', // @guardedBy i_pages  by page index: what was written last; with contents only
  serial: 'i32', // @atomic files that the row held before: content of one is no other's
  vmaHead: 'i32', // @guardedBy i_mmap_rwsem  VMAs that map the file
  nrPages: 'i32', // @guardedBy i_pages  entries that are pages  @racy sums
  nrSwapped: 'i32', // @guardedBy i_pages  entries that are slots, or shadows  @racy sums
} as const;

/** One row per SHADOW_NODE_SLOTS neighbouring slots; row 0 is unused. */
export const SHADOW_NODE_COLUMNS = {
  shadows: 'u8', // @guardedBy swap_cluster  slots with a shadow
  cached: 'u8', // @guardedBy swap_cluster  slots with a folio in the swap cache
  listed: 'u8', // @guardedBy swap_cluster  NODE_OFF_LIST, NODE_ON_LIST, NODE_NO_LIST
  nid: 'u8', // @guardedBy swap_cluster  node of its first shadow
  group: 'u16', // @guardedBy swap_cluster  group of its first shadow's slot
} as const;

/** Not on the list of nodes; on it; it should be, but its group's list could not be made. */
export const NODE_OFF_LIST = 0;
export const NODE_ON_LIST = 1;
export const NODE_NO_LIST = 2;

/** Nodes for files that are sparse, or wait for their grace period. */
const SPARE_FILE_NODES = 64;

/**
 * Nodes of the tables of all files: dense ones need one for 64 pages, a file's first page and a
 * lonely one need their own. With contents each file has a second table. Pure.
 */
function fileNodes(config: MmConfig, nrInodes: number): number {
  const { filePagesMax: pages } = config;
  if (pages === 0) return 0;
  const nodes = Math.ceil(pages / 32) + Math.min(pages, nrInodes - 1) + SPARE_FILE_NODES;
  return config.contents ? 2 * nodes : nodes;
}

/** @param nrSlots rows of swap slots @returns rows of shadow nodes; pure */
export function shadowNodes(nrSlots: number): number {
  return Math.ceil(nrSlots / SHADOW_NODE_SLOTS) + 1;
}

/**
 * Declares the tables. Pure, as the arena asks.
 * @param nrInodes rows of inodes, row 0 counted: whole slabs, so more than inodesMax at times
 */
export function declareFiles(
  builder: ArenaBuilder,
  config: MmConfig,
  nrInodes: number,
  nrShadowNodes: number,
) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    mapping: builder.columns('mapping', MAPPING_COLUMNS, nrInodes),
    // @atomic words of i_mmap_rwsem
    iMmapLock: words('mapping.i_mmap_rwsem', nrInodes, RWSEM_WORDS),
    // @atomic lock words of i_pages
    iPages: words('mapping.i_pages', nrInodes, 1),
    // @atomic word 0: entries of all files
    fileInfo: words('file_info', 1, LINE_WORDS),
    filePool: declareXaPool(builder, 'file_nodes', fileNodes(config, nrInodes), LC_FILE_NODES),
    shadowNode: builder.columns('shadow_node', SHADOW_NODE_COLUMNS, nrShadowNodes),
    // @frozen word 0 the list of shadow nodes, word 1 their shrinker; 0 before they are made
    shadowLru: words('shadow_node.lru', 1, LINE_WORDS),
  };
}
