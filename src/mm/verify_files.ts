// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of a run reads every page of every file back, in memory or in swap, and compares it with
 * what was written last. As the walk over address spaces (verify.ts), it neither swaps in nor
 * changes a counter.
 */
import { condResched } from '../../shared/sched.ts';
import { pageWords } from './content.ts';
import { folioLock, folioUnlock } from './folio.ts';
import { HOSTFS } from './fs_types.ts';
import { PAGE_WORDS } from './limits.ts';
import {
  folioInMapping,
  mappingGet,
  mappingNext,
  mappingNextSeq,
  mappingPeek,
  mappingSeq,
  XA_NONE,
} from './mapping.ts';
import type { Mm } from './mm.ts';
import { checkFilePage } from './shmem_io.ts';
import { folioPut } from './swap.ts';
import { readSwapped, type Verification } from './verify.ts';

const copy = new Int32Array(PAGE_WORDS);

/** Copies a page of a file into `copy`. @returns false for a hole */
function readFilePage(m: Mm, inode: number, index: number): boolean {
  for (;;) {
    const entry = mappingGet(m, inode, index);
    if (entry === 0) return false;
    if (entry < 0) {
      // The entry kept the slot alive if it is still the same.
      if (readSwapped(m, -entry, copy) && mappingPeek(m, inode, index) === entry) return true;
      continue;
    }
    folioLock(m, entry);
    const ours = folioInMapping(m, entry, inode, index);
    if (ours) copy.set(pageWords(m, entry));
    folioUnlock(m, entry);
    folioPut(m, entry);
    if (ours) return true;
  }
}

function note(result: Verification, text: string): void {
  result.mismatches++;
  result.first ??= text;
}

function verifyFile(m: Mm, inode: number, result: Verification): void {
  for (let at = mappingNext(m, inode, 0); at !== XA_NONE; at = mappingNext(m, inode, at + 1)) {
    if (!readFilePage(m, inode, at)) continue;
    result.pages++;
    const wrong = checkFilePage(m, copy, inode, at, mappingSeq(m, inode, at));
    if (wrong !== null) note(result, wrong);
    condResched();
  }
  for (let at = mappingNextSeq(m, inode, 0); at !== XA_NONE; ) {
    if (mappingPeek(m, inode, at) === 0) note(result, `file ${inode} page ${at}: is gone`);
    at = mappingNextSeq(m, inode, at + 1);
  }
}

/**
 * Reads back every page of every file.
 * @context a thread registered with RCU, no lock held; nobody writes or truncates files any more,
 *   reclaim may still run
 */
export function verifyFiles(m: Mm): Verification {
  const result: Verification = { pages: 0, mismatches: 0, first: null };
  if (!m.config.contents) return result;
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    const { head, seqHead } = m.mapping;
    if (m.fs.super.type[m.fs.inode.sb[inode] as number] === HOSTFS) continue;
    if (Atomics.load(head, inode) === 0 && Atomics.load(seqHead, inode) === 0) continue;
    verifyFile(m, inode, result);
  }
  return result;
}
