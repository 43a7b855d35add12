// SPDX-License-Identifier: GPL-2.0-only
/** The shared memory that a machine is made of: its tables, its page frames, the store's bytes. */
import type { SpareMemory } from '../../shared/spare_memory.ts';
import type { SharedMemory } from '../../shared/wasm.ts';
import { ZS_BLOCK_BYTES, ZS_BUFFER_BLOCKS, zsBlocks } from './zsmalloc_sizes.ts';

/** What another thread needs to attach: structured-clonable. */
export interface MmBuffers {
  readonly memory: SharedMemory;
  /**
   * Page frames, FRAME_BUFFER_PAGES each, the only one with scratch behind; empty when contents are
   * off.
   */
  readonly frames: readonly SharedMemory[];
  /** The store's own memory (zsmalloc.ts), ZS_BUFFER_BLOCKS each; empty without one. */
  readonly store: readonly SharedArrayBuffer[];
}

/**
 * Makes the memory of a store, all zero.
 * @param pages that it can hold
 * @param spare memory to take where it has the size
 * @throws RangeError when the host has no memory for it
 */
export function newStore(pages: number, spare?: SpareMemory): SharedArrayBuffer[] {
  const store: SharedArrayBuffer[] = [];
  for (let block = 0; block < zsBlocks(pages); block += ZS_BUFFER_BLOCKS) {
    const bytes = Math.min(ZS_BUFFER_BLOCKS, zsBlocks(pages) - block) * ZS_BLOCK_BYTES;
    store.push(spare?.takeBuffer(bytes) ?? new SharedArrayBuffer(bytes));
  }
  return store;
}

/** Gives the memory of a machine that is gone to the next. @context no thread of it is left */
export function giveMmBuffers({ memory, frames, store }: MmBuffers, spare: SpareMemory): void {
  spare.giveMemory(memory);
  for (const frame of frames) spare.giveMemory(frame);
  for (const buffer of store) spare.giveBuffer(buffer);
}
