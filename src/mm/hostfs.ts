// SPDX-License-Identifier: GPL-2.0-only
/**
 * Directories of the host, mounted: names are paths below them, files are the host's.
 *
 * The engine is the only one that changes a mounted directory: a name that was not there is
 * remembered as not there, and a file's size is asked for once. A file is open on the host while it
 * has an inode. What happens to names of a mount happens one at a time (i_rwsem of the mount).
 */
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { dAdd, dAlloc, dDeleteLocked, dLock, dLookup, dput, dUnlock } from './dcache.ts';
import { EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM } from './errno.ts';
import { registerFileRefs } from './file_refs.ts';
import { HOSTFS } from './fs_types.ts';
import { forEachHostInode } from './host_inodes.ts';
import { hostClose, hostDirectory, hostNames, hostOpen, hostSize, hostUnlink } from './host_io.ts';
import { claimHostDir, hostDirOf, hostNameId, hostPath } from './host_names.ts';
import { dropNlink, iget, ihold, inodeUnhash, iput } from './inode.ts';
import { LC_I_RWSEM, LC_S_UMOUNT } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { begin, closeFile, inodeOf } from './namei.ts';
import { mount, superGet, superPut, umount } from './super.ts';

function namesLock(m: Mm, sb: number): void {
  rwsemDownWrite(m.iRwsem, namesBase(m, sb), LC_I_RWSEM);
}

function namesUnlock(m: Mm, sb: number): void {
  rwsemUpWrite(m.iRwsem, namesBase(m, sb), LC_I_RWSEM);
}

/** A name for a call that has none: `begin` wants one. */
const ANY_NAME = 1;

/** The mounts' words are behind those of the files. */
function namesBase(m: Mm, sb: number): number {
  return (m.sizes.fs.nrInodes + sb) * RWSEM_WORDS;
}

/** @returns whether a mount is a directory of the host @context the mount is held */
function isHostMount(m: Mm, sb: number): boolean {
  return m.fs.super.type[sb] === HOSTFS;
}

/**
 * Mounts a directory of the host.
 * @param dir its path @param name for the shrinker's name
 * @returns the mount; ENODEV when the machine has no files of the host (`hostFiles`), ENOENT for
 *   what is no directory, EBUSY when it, or one above or below it, is mounted, EINVAL for a path
 *   that is too long, ENOSPC, ENOMEM
 * @context as mount
 */
export function hostMount(m: Mm, dir: string, name: string): number {
  if (!m.config.hostFiles) return ENODEV;
  const path = hostDirectory(dir);
  if (path === null) return ENOENT;
  const sb = mount(m, HOSTFS, name);
  if (sb < 0) return sb;
  rwsemDownWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  const error = claimHostDir(m, sb, path);
  rwsemUpWrite(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  if (error === 0) return sb;
  umount(m, sb);
  return error;
}

/** Opens the host's file for a new inode. @returns 0 or an errno */
function fillInode(m: Mm, sb: number, name: number, row: number, create: boolean): number {
  const fd = hostOpen(hostPath(m, sb, name), create);
  if (fd < 0) return fd;
  const size = hostSize(fd);
  if (size < 0) {
    hostClose(fd);
    return size;
  }
  m.hostFile.fd[row] = fd + 1;
  m.hostFile.size[row] = size;
  return 0;
}

/** @returns the file of a name with a reference; ENOENT when the host has none, or an errno */
function getInode(m: Mm, sb: number, name: number, create: boolean): number {
  const inode = iget(m, sb, name, (row) => fillInode(m, sb, name, row, create));
  return inode === 0 ? ENOMEM : inode;
}

/**
 * The dentry of a name, made if it is not cached; negative when the host has no such file.
 * @returns a reference, or an errno
 * @context names locked
 */
function walk(m: Mm, sb: number, name: number, create: boolean): number {
  const cached = dLookup(m, sb, name);
  if (cached !== 0) return cached;
  const inode = getInode(m, sb, name, create);
  if (inode < 0 && inode !== ENOENT) return inode;
  const made = dAlloc(m, sb, name, Math.max(inode, 0));
  if (made === 0) {
    if (inode > 0) iput(m, inode);
    return ENOMEM;
  }
  dAdd(m, made);
  return made;
}

/** Makes the file of a negative dentry. @returns its inode with a reference, or an errno */
function create(m: Mm, sb: number, name: number, dentry: number): number {
  const inode = getInode(m, sb, name, true);
  if (inode < 0) return inode;
  ihold(m, inode);
  dLock(m, dentry);
  m.fs.dentry.inode[dentry] = inode;
  dUnlock(m, dentry);
  return inode;
}

/** @returns the number of a path of a mount that is held from here on, or an errno */
function enter(m: Mm, sb: number, path: string): number {
  const name = hostNameId(m, path);
  if (name < 0) return name;
  const error = begin(m, sb, name);
  if (error < 0) return error;
  if (isHostMount(m, sb)) return name;
  superPut(m, sb);
  return EINVAL;
}

/**
 * Opens a file of the host.
 * @param sb from hostMount @param path below the directory, without `.` and `..`
 * @param mayCreate make an empty file if there is none
 * @param exclusive with `mayCreate`: only if there is none (O_EXCL)
 * @returns its inode, with a reference that closeFile drops; ENOENT, EEXIST, EACCES, EISDIR,
 *   EMFILE, EIO, EINVAL for a path that will not do, ENODEV when there is no such mount, ENOMEM,
 *   ENOSPC
 * @context may block and reclaim; no lock held. New objects are charged to this thread's group
 */
export function hostOpenFile(
  m: Mm,
  sb: number,
  path: string,
  mayCreate: boolean,
  exclusive = false,
): number {
  const name = enter(m, sb, path);
  if (name < 0) return name;
  namesLock(m, sb);
  const dentry = walk(m, sb, name, mayCreate && !exclusive);
  let inode = dentry;
  if (dentry > 0) {
    inode = inodeOf(m, dentry);
    if (inode > 0 && mayCreate && exclusive) {
      iput(m, inode);
      inode = EEXIST;
    }
    if (inode === 0) inode = mayCreate ? create(m, sb, name, dentry) : ENOENT;
    dput(m, dentry);
  }
  namesUnlock(m, sb);
  if (inode < 0) superPut(m, sb);
  return inode;
}

/**
 * Removes a file of the host. Who has it open goes on using it; what is not written is lost.
 * @returns 0, ENOENT, EACCES, EINVAL, ENODEV, ENOMEM, EIO
 * @context as hostOpenFile
 */
export function hostUnlinkFile(m: Mm, sb: number, path: string): number {
  const name = enter(m, sb, path);
  if (name < 0) return name;
  namesLock(m, sb);
  const dentry = walk(m, sb, name, false);
  let result = dentry;
  if (dentry > 0) {
    const inode = inodeOf(m, dentry);
    result = inode === 0 ? ENOENT : removeName(m, sb, name, dentry, inode);
    if (inode > 0) iput(m, inode);
    dput(m, dentry);
  }
  namesUnlock(m, sb);
  superPut(m, sb);
  return result;
}

function removeName(m: Mm, sb: number, name: number, dentry: number, inode: number): number {
  const error = hostUnlink(hostPath(m, sb, name));
  if (error < 0) return error;
  inodeUnhash(m, inode);
  dropNlink(m, inode);
  dLock(m, dentry);
  const given = dDeleteLocked(m, dentry);
  dUnlock(m, dentry);
  if (given !== 0) iput(m, given);
  return 0;
}

/**
 * Lists a directory: what the host has, since every name is made and taken there at once.
 * @param path below the mounted directory; '' for itself
 * @returns names in order, those of directories with a '/' behind; ENOENT, EINVAL, ENODEV, EIO
 * @context as hostOpenFile
 */
export function hostReadDir(m: Mm, sb: number, path: string): string[] | number {
  const name = path === '' ? ANY_NAME : hostNameId(m, path);
  if (name < 0) return name;
  const error = begin(m, sb, name);
  if (error < 0) return error;
  const dir = isHostMount(m, sb) ? hostDirOf(m, sb) : '';
  superPut(m, sb);
  if (dir === '') return EINVAL;
  return hostNames(path === '' ? dir : `${dir}/${path}`);
}

/** One more user of an open file, such as a mapping. @context the caller has it open */
function holdFile(m: Mm, inode: number): void {
  const got = superGet(m, m.fs.inode.sb[inode] as number);
  if (got) ihold(m, inode);
}

registerFileRefs({ hold: holdFile, put: closeFile, each: forEachHostInode });
