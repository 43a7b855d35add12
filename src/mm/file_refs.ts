// SPDX-License-Identifier: GPL-2.0-only
/**
 * How a VMA keeps the file that it maps, and how a page cache that is full finds other files. Both
 * are below files in what imports what: reclaim walks VMAs, and files need reclaim. So files
 * register themselves.
 */
import { bug } from '../../shared/assert.ts';
import type { Mm } from './mm.ts';

/** What files do for those below them. */
export interface FileRefs {
  /** One more user of a file that the caller has. */
  hold(m: Mm, inode: number): void;
  /** It uses it no more: the file may go. @context no lock held but mmap_lock */
  put(m: Mm, inode: number): void;
  /** As forEachHostInode of host_inodes.ts. */
  each(m: Mm, wanted: (inode: number) => boolean, visit: (inode: number) => void): void;
}

/** Code, not state: the same in every worker. */
let refs: FileRefs | null = null;

/** @context at import of hostfs.ts */
export function registerFileRefs(implementation: FileRefs): void {
  refs = implementation;
}

/** @returns what keeps files @context a thread that has loaded hostfs.ts */
export function fileRefs(): FileRefs {
  return refs ?? bug('a file is mapped, and nothing keeps files');
}
