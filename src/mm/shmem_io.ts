// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading and writing pages of files, and how a reader knows that a page is right.
 *
 * A write fills the whole page from (serial of the file, index, number of the write) and stamps it
 * with the three; the number is kept beside the file's table too, outside the page. Both happen
 * under the folio lock, and so do reads. Then, whoever writes and however many:
 *
 *   the page differs from what its stamp says     torn, or another page's bytes
 *   the stamp is of another file or index         another page's bytes
 *   its number is not the one kept                a write was lost, or an old one came back
 *   a number is kept, and there is no page        the page was lost
 *   no number is kept, and it is not all zeroes   a hole that was never written to
 */
import { faultDelay } from '../../shared/fault.ts';
import { rcuBarrier } from '../../shared/rcu_callback.ts';
import { FILL_RANDOM, fillPage, pageWords, verifyFill } from './content.ts';
import { EIO, ENOENT, ENOSPC } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioSet, folioUnlock } from './folio.ts';
import { mappingPeek, mappingSeq, mappingSetSeq } from './mapping.ts';
import { payForHigh } from './memcg_high.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY } from './mm_types.ts';
import { shmemGetFolio } from './shmem.ts';
import { folioMarkAccessed, folioPut } from './swap.ts';

/** Largest number of a write. */
export const SEQ_MAX = 0x7fffffff;

const STAMP_SERIAL = 0;
const STAMP_INDEX = 1;
const STAMP_SEQ = 2;

/**
 * What is wrong with the page that `shmemRead` found wrong; empty where swap could not be read.
 * Private to the thread.
 */
export const badPage = { note: '' };

function serialOf(m: Mm, inode: number): number {
  return Atomics.load(m.mapping.serial, inode);
}

function fillNumber(inode: number, serial: number, seq: number): number {
  const mixed = Math.imul(Math.imul(inode, 0x9e3779b1) ^ Math.imul(serial, 0x85ebca6b), 31);
  return (mixed ^ seq) & ~FILL_RANDOM;
}

function fillFile(words: Int32Array, inode: number, serial: number, index: number, seq: number) {
  fillPage(words, fillNumber(inode, serial, seq), index);
  words[STAMP_SERIAL] = serial;
  words[STAMP_INDEX] = index | 0;
  words[STAMP_SEQ] = seq;
}

/**
 * What is wrong with a page of a file.
 * @param words its bytes @param seq number kept for it, 0 for none
 * @returns a description, or null
 * @context the bytes and the number were read under one hold of the folio lock, or at rest
 */
export function checkFilePage(
  m: Mm,
  words: Int32Array,
  inode: number,
  index: number,
  seq: number,
): string | null {
  const name = `file ${inode} page ${index}`;
  if (seq === 0) {
    const at = words.findIndex((word) => word !== 0);
    return at < 0 ? null : `${name}: never written to, and word ${at} is not 0`;
  }
  const serial = serialOf(m, inode);
  if (words[STAMP_SERIAL] !== serial || words[STAMP_INDEX] !== (index | 0)) {
    const stamp = `${words[STAMP_SERIAL]}:${words[STAMP_INDEX]}`;
    return `${name}: stamped as page ${stamp}, expected ${serial}:${index}`;
  }
  if (words[STAMP_SEQ] !== seq) {
    return `${name}: holds write ${words[STAMP_SEQ]}, last was ${seq}`;
  }
  const wrong = verifyFill(words, fillNumber(inode, serial, seq), index);
  return wrong < 0 ? null : `${name}: differs at word ${wrong}`;
}

/**
 * Writes one page of a file.
 * @param inode row, 1 and up @param index page of the file, 0 .. 2^32-1
 * @param seq number of the write, 1 .. SEQ_MAX; best unlike that of the page's last one
 * @returns 0, ENOMEM without memory or charge, ENOSPC when files may hold no more, EIO when swap
 *   cannot be read
 * @context as shmemGetFolio
 */
export function shmemWrite(m: Mm, inode: number, index: number, seq: number): number {
  const pfn = shmemGetFolio(m, inode, index, true);
  if (pfn < 0) return pfn;
  const noted = !m.config.contents || mappingSetSeq(m, inode, index, seq);
  if (noted && m.config.contents) {
    const words = pageWords(m, pfn);
    fillFile(words, inode, serialOf(m, inode), index, seq);
    faultDelay(FAULT_DELAY);
  }
  // Dirty before the lock goes: reclaim must not think that the slot's copy is as good.
  if (noted) folioSet(m, pfn, PG_DIRTY);
  folioUnlock(m, pfn);
  if (noted) folioMarkAccessed(m, pfn);
  folioPut(m, pfn);
  payForHigh(m);
  if (noted) return 0;
  // Nodes may be on their way back to the pool: the next try finds them.
  rcuBarrier();
  return ENOSPC;
}

/**
 * Reads one page of a file and checks it.
 * @returns the number of its last write (0 for a page that was made and not written to, and always
 *   without contents), ENOENT for a hole, EIO when the page is not right or cannot be read (see
 *   `badPage`), ENOMEM
 * @context as shmemGetFolio
 */
export function shmemRead(m: Mm, inode: number, index: number): number {
  const pfn = shmemGetFolio(m, inode, index, false);
  if (pfn === ENOENT) return readHole(m, inode, index);
  if (pfn === EIO) badPage.note = '';
  if (pfn < 0) return pfn;
  let seq = 0;
  let wrong: string | null = null;
  if (m.config.contents) {
    seq = mappingSeq(m, inode, index);
    wrong = checkFilePage(m, pageWords(m, pfn), inode, index, seq);
  }
  folioUnlock(m, pfn);
  folioMarkAccessed(m, pfn);
  folioPut(m, pfn);
  payForHigh(m);
  if (wrong === null) return seq;
  badPage.note = wrong;
  return EIO;
}

/** A hole that something was written to is a page that was lost; unless it is there by now. */
function readHole(m: Mm, inode: number, index: number): number {
  const seq = mappingSeq(m, inode, index);
  if (seq === 0 || mappingPeek(m, inode, index) !== 0) return ENOENT;
  badPage.note = `file ${inode} page ${index}: write ${seq} is gone`;
  return EIO;
}
