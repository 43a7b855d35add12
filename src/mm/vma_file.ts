// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a VMA that maps a file owes to the file (mm/vma.c, __vma_link_file and vma_prepare): a place
 * among the file's mappings, changed under its i_mmap_rwsem. For anonymous memory, nothing.
 */
import type { Mm } from './mm.ts';

/** Maps the VMA a file? */
export function vmaOfFile(m: Mm, vma: number): boolean {
  return m.vma.file[vma] !== 0;
}

/** Makes the file's rmap find the VMA. @context mmap_lock held for writing; its fields are set */
export function vmaLinkFile(m: Mm, vma: number): void {
  if (!vmaOfFile(m, vma)) return;
}

/** Hides the VMA from the file's rmap. @context mmap_lock held for writing */
export function vmaUnlinkFile(m: Mm, vma: number): void {
  if (!vmaOfFile(m, vma)) return;
}

/** The VMA's bounds are about to change: nobody may walk the file's mappings. @context as above */
export function vmaLockFile(m: Mm, vma: number): void {
  if (!vmaOfFile(m, vma)) return;
}

/** Ends vmaLockFile. @context as above */
export function vmaUnlockFile(m: Mm, vma: number): void {
  if (!vmaOfFile(m, vma)) return;
}
