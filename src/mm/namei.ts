// SPDX-License-Identifier: GPL-2.0-only
/**
 * Calls on names: open, close, unlink, look up (fs/namei.c, fs/libfs.c).
 *
 * A mount's directory is flat and has no lock of its own: a name is given and taken under d_lock of
 * its dentry, of which there is one at a time. On a tmpfs a name holds a reference on its dentry,
 * so that neither it nor the file is ever reclaimed; on a disk every name has a file.
 */
import { condResched } from '../../shared/sched.ts';
import { dAdd, dAlloc, dDeleteLocked, dLock, dLookup, dput, dUnlock } from './dcache.ts';
import { EINVAL, ENODEV, ENOENT, ENOMEM, EPERM } from './errno.ts';
import { D_PINNED, DISKFS, HOSTFS, TMPFS } from './fs_types.ts';
import { dropNlink, iget, ihold, iput, newInode } from './inode.ts';
import { memcgRefresh } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { superGet, superPut } from './super.ts';

/** The dentry of a name, made if it is not cached. @returns a reference, or ENOMEM */
function walk(m: Mm, sb: number, name: number): number {
  const disk = m.fs.super.type[sb] === DISKFS;
  for (;;) {
    const cached = dLookup(m, sb, name);
    if (cached !== 0) return cached;
    const inode = disk ? iget(m, sb, name) : 0;
    if (disk && inode === 0) return ENOMEM;
    const made = dAlloc(m, sb, name, inode);
    if (made === 0) {
      if (inode !== 0) iput(m, inode);
      return ENOMEM;
    }
    if (dAdd(m, made)) return made;
    // Somebody else made it meanwhile: this one was never in the hash, and goes.
    dput(m, made);
  }
}

/**
 * @returns the inode of a dentry that the caller has, with a reference; 0 when it is negative
 * @context takes d_lock and i_lock
 */
export function inodeOf(m: Mm, dentry: number): number {
  dLock(m, dentry);
  const inode = m.fs.dentry.inode[dentry] as number;
  dUnlock(m, dentry);
  // While the caller has the dentry it keeps its inode.
  if (inode !== 0) ihold(m, inode);
  return inode;
}

/** Gives a negative dentry a new file. @returns its inode, with a reference; or ENOMEM */
function create(m: Mm, sb: number, dentry: number): number {
  const made = newInode(m, sb, Atomics.add(m.fs.super.nextIno, sb, 1));
  if (made === 0) return ENOMEM;
  const { inode, count, flags } = m.fs.dentry;
  dLock(m, dentry);
  const known = inode[dentry] as number;
  if (known === 0) {
    inode[dentry] = made;
    count[dentry] = (count[dentry] as number) + 1;
    flags[dentry] = (flags[dentry] as number) | D_PINNED;
  }
  dUnlock(m, dentry);
  ihold(m, known === 0 ? made : known);
  if (known === 0) return made;
  dropNlink(m, made);
  iput(m, made);
  return known;
}

/** @returns 0, or why the call cannot begin; ends with superPut @context no lock held */
export function begin(m: Mm, sb: number, name: number): number {
  if (!Number.isInteger(name) || name <= 0 || name > 0x7fffffff) return EINVAL;
  condResched();
  if (m.task.mm !== 0) memcgRefresh(m, m.task.mm);
  return superGet(m, sb) ? 0 : ENODEV;
}

/**
 * Opens a file.
 * @param sb a mount @param name 1 .. 2^31-1 @param mayCreate make the file if there is none
 * @returns its inode, with a reference that closeFile drops; ENOENT, ENOMEM, EINVAL for a name out
 *   of range, ENODEV when there is no such mount
 * @context may block and reclaim; no lock held. New objects are charged to this thread's group
 */
export function openFile(m: Mm, sb: number, name: number, mayCreate: boolean): number {
  const error = begin(m, sb, name);
  if (error < 0) return error;
  if (m.fs.super.type[sb] === HOSTFS) {
    superPut(m, sb);
    return EINVAL;
  }
  const dentry = walk(m, sb, name);
  let inode = dentry;
  if (dentry > 0) {
    inode = inodeOf(m, dentry);
    if (inode === 0) inode = mayCreate ? create(m, sb, dentry) : ENOENT;
    dput(m, dentry);
  }
  if (inode < 0) superPut(m, sb);
  return inode;
}

/** Closes a file. @param inode from openFile @context may free pages; no lock held */
export function closeFile(m: Mm, inode: number): void {
  const sb = m.fs.inode.sb[inode] as number;
  iput(m, inode);
  superPut(m, sb);
}

/**
 * Removes a name; the file goes when nobody has it open.
 * @returns 0, ENOENT, EPERM on a disk, ENOMEM, ENODEV, EINVAL
 * @context as openFile
 */
export function unlink(m: Mm, sb: number, name: number): number {
  const error = begin(m, sb, name);
  if (error < 0) return error;
  const readOnly = m.fs.super.type[sb] !== TMPFS;
  const result = readOnly ? EPERM : unlinkName(m, sb, name);
  superPut(m, sb);
  return result;
}

function unlinkName(m: Mm, sb: number, name: number): number {
  const dentry = walk(m, sb, name);
  if (dentry < 0) return dentry;
  const { inode, count, flags } = m.fs.dentry;
  dLock(m, dentry);
  const file = inode[dentry] as number;
  const linked = ((flags[dentry] as number) & D_PINNED) !== 0;
  let given = 0;
  if (linked) {
    // The name's own reference; exactly one of several callers takes it.
    flags[dentry] = (flags[dentry] as number) & ~D_PINNED;
    count[dentry] = (count[dentry] as number) - 1;
    given = dDeleteLocked(m, dentry);
  }
  dUnlock(m, dentry);
  if (linked) dropNlink(m, file);
  if (given !== 0) iput(m, given);
  dput(m, dentry);
  return linked ? 0 : ENOENT;
}

/**
 * Looks a name up, and remembers what was found, or that nothing was.
 * @returns 1 when there is a file, 0 when there is none, ENOMEM, ENODEV, EINVAL
 * @context as openFile
 */
export function lookup(m: Mm, sb: number, name: number): number {
  const error = begin(m, sb, name);
  if (error < 0) return error;
  const dentry = walk(m, sb, name);
  let found = dentry;
  if (dentry > 0) {
    dLock(m, dentry);
    found = m.fs.dentry.inode[dentry] !== 0 ? 1 : 0;
    dUnlock(m, dentry);
    dput(m, dentry);
  }
  superPut(m, sb);
  return found;
}
