// SPDX-License-Identifier: GPL-2.0-only
/** Which pages a file has, by its size (i_size_read; mm/filemap.c, where faults test it). */
import { PAGE_SIZE } from './limits.ts';
import { folioInMapping } from './mapping.ts';
import type { Mm } from './mm.ts';

/** @returns pages that a file of this size has */
export function filePageCount(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}

/**
 * Is a page this file's, and no part of a large folio that lies beyond the end: one that could not
 * be split when the file was cut? @context its folio locked: it stays true
 */
export function fileHasPage(m: Mm, page: number, inode: number, index: number): boolean {
  if (!folioInMapping(m, page, inode, index)) return false;
  return m.page.head[page] === 0 || index < filePageCount(m.hostFile.size[inode] as number);
}
