// SPDX-License-Identifier: GPL-2.0-only
/** Writing back what was stored through mappings of files (mm/msync.c). */
import { EBUSY, EINVAL, ENOMEM } from './errno.ts';
import { fileRefs } from './file_refs.ts';
import { fileErrors, fileFsyncRange } from './filemap_io.ts';
import type { Mm } from './mm.ts';
import { VM_LOCKED, VM_SHARED } from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock, rangeOk } from './mmap.ts';
import { findVmaAbove, pageIndex } from './vma.ts';

/** Flags, as the kernel numbers them. */
export const MS_ASYNC = 1;
export const MS_INVALIDATE = 2;
export const MS_SYNC = 4;

/** What one VMA asks for. Private to the thread. */
const found = { next: 0, hole: false, error: 0, inode: 0, first: 0, last: 0 };

/** Looks at the next VMA from a page on; a file that is to be written is held. */
function look(m: Mm, mm: number, at: number, end: number, flags: number): void {
  found.inode = 0;
  found.error = 0;
  mmapReadLock(m, mm);
  const vma = findVmaAbove(m, mm, at);
  const start = vma === 0 ? end : (m.vma.start[vma] as number);
  const from = Math.max(at, start);
  found.hole = from > at;
  found.next = vma === 0 ? end : Math.min(end, m.vma.end[vma] as number);
  const vmFlags = m.vma.flags[vma] as number;
  if (from < end) {
    if ((flags & MS_INVALIDATE) !== 0 && (vmFlags & VM_LOCKED) !== 0) found.error = EBUSY;
    const inode = m.vma.file[vma] as number;
    if ((flags & MS_SYNC) !== 0 && inode !== 0 && (vmFlags & VM_SHARED) !== 0) {
      found.inode = inode;
      found.first = pageIndex(m, vma, from);
      found.last = pageIndex(m, vma, found.next - 1);
      fileRefs().hold(m, inode);
    }
  }
  mmapReadUnlock(m, mm);
}

/**
 * Waits until the host's disk has what was stored to shared mappings of files in a range. With
 * MS_ASYNC there is nothing to do: the flusher writes it in time.
 * @param start first virtual page number @param end one past the last
 * @returns 0; ENOMEM when some of it is not mapped, the rest is done; EBUSY for MS_INVALIDATE of
 *   locked memory; EINVAL for no range or flags; EIO, ENOSPC as fileFsync
 * @context takes mmap_lock for reading, and lets it go while it writes; may block
 */
export function msync(m: Mm, mm: number, start: number, end: number, flags: number): number {
  const known = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
  if ((flags & ~known) !== 0 || (flags & (MS_ASYNC | MS_SYNC)) === (MS_ASYNC | MS_SYNC)) {
    return EINVAL;
  }
  if (!rangeOk(start, end)) return EINVAL;
  let holes = false;
  for (let at = start; at < end; at = found.next) {
    look(m, mm, at, end, flags);
    holes ||= found.hole;
    if (found.error < 0) return found.error;
    const { inode, first, last } = found;
    if (inode === 0) continue;
    const error = fileFsyncRange(m, inode, first, last, fileErrors(m, inode));
    fileRefs().put(m, inode);
    if (error < 0) return error;
  }
  return holes ? ENOMEM : 0;
}
