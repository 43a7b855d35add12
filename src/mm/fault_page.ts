// SPDX-License-Identifier: GPL-2.0-only
/** What faults on new pages, single and large, have in common (mm/memory.c). */
import { fillPage, pageWords } from './content.ts';
import { FAULT_FLAG_FILL } from './fault_codes.ts';
import type { Mm } from './mm.ts';
import { PTE_WRITE, VM_WRITE } from './mm_types.ts';
import { pageIndex } from './vma.ts';

/** PTE_WRITE where the VMA allows it, else 0. */
export function writeBit(m: Mm, vma: number): number {
  return ((m.vma.flags[vma] as number) & VM_WRITE) !== 0 ? PTE_WRITE : 0;
}

/** What a page holds before its first access. @param flags FAULT_FLAG_* */
export function fillNewPage(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pfn: number,
  flags: number,
): void {
  const words = pageWords(m, pfn);
  if ((flags & FAULT_FLAG_FILL) === 0) words.fill(0);
  else fillPage(words, m.mm.fillId[mm] as number, pageIndex(m, vma, vpn));
}
