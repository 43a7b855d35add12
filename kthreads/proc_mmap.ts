// SPDX-License-Identifier: GPL-2.0-only
/** `mmap` of a generator program: what may be mapped, and how (mm/mmap.c, do_mmap). */
import { EACCES, EINVAL, ENODEV } from '../src/mm/errno.ts';
import { fdGet, fdPut, hostInode } from '../src/mm/fdtable.ts';
import { O_ACCMODE, O_RDWR, O_WRONLY } from '../src/mm/fdtable_types.ts';
import type { Mm } from '../src/mm/mm.ts';
import { VM_EXEC, VM_READ, VM_SHARED, VM_WRITE } from '../src/mm/mm_types.ts';
import { mmapFile } from '../src/mm/mmap_file.ts';

/** What is mapped. Default: anonymous memory, private, readable and writable. */
export interface MmapOptions {
  /** An open file of the host; null for anonymous memory. */
  readonly fd?: number | null;
  /** Page of the file at the start. Default 0. */
  readonly pgoff?: number;
  /** MAP_SHARED: stores go to the file. Default false, MAP_PRIVATE. */
  readonly shared?: boolean;
  /** VM_READ (1), VM_WRITE (2), VM_EXEC (4): pages that are run are kept longer. Default 3. */
  readonly prot?: number;
  /** MAP_FIXED: what is mapped there goes first. Default false. */
  readonly fixed?: boolean;
}

/** Pages of a file have 31-bit numbers. */
const LAST_PAGE = 2 ** 31 - 1;

function vmFlags({ prot = VM_READ | VM_WRITE, shared = false }: MmapOptions): number {
  return VM_READ | (prot & (VM_WRITE | VM_EXEC)) | (shared ? VM_SHARED : 0);
}

/** @returns 0; EINVAL also for shared memory, which is not modelled @context as mmapFile */
export function mapAnon(
  m: Mm,
  mm: number,
  start: number,
  pages: number,
  options: MmapOptions,
): number {
  if (options.shared === true) return EINVAL;
  const { fixed = false } = options;
  const flags = vmFlags(options) & ~VM_EXEC;
  return mmapFile(m, mm, start, start + pages, 0, start, flags, fixed) === 0 ? EINVAL : 0;
}

/** @returns 0; EBADF, EACCES, ENODEV, EINVAL @context as mmapFile; takes a reference on the file */
export function mapFd(
  m: Mm,
  mm: number,
  start: number,
  pages: number,
  options: MmapOptions & { readonly fd: number },
): number {
  const { fd, pgoff = 0, fixed = false } = options;
  const row = fdGet(m, mm, fd);
  if (row < 0) return row;
  const inode = m.openFile.inode[row] as number;
  const mode = (m.openFile.flags[row] as number) & O_ACCMODE;
  const flags = vmFlags(options);
  const stores = (flags & VM_SHARED) !== 0 && (flags & VM_WRITE) !== 0;
  const inFile = Number.isInteger(pgoff) && pgoff >= 0 && pgoff + pages - 1 <= LAST_PAGE;
  let error = 0;
  if (!hostInode(m, inode)) error = ENODEV;
  else if (mode === O_WRONLY || (stores && mode !== O_RDWR)) error = EACCES;
  else if (!inFile) error = EINVAL;
  else if (mmapFile(m, mm, start, start + pages, inode, pgoff, flags, fixed) === 0) error = EINVAL;
  fdPut(m, row);
  return error;
}
