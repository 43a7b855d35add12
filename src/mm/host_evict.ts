// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of a file's inode (fs/inode.c, evict, for a file of the host): what is dirty is written,
 * unless the file has no name any more; then its pages go, and the descriptor.
 */
import { hostClose } from './host_io.ts';
import { mappingReset } from './mapping.ts';
import type { Mm } from './mm.ts';
import { cutHost, truncatePages } from './truncate.ts';
import { EV } from './vmstat_items.ts';
import { writeFilePages } from './writeback.ts';

/** Writes that fail so often in a row are given up. */
const TRIES_MAX = 64;

/**
 * Writes a file back for good.
 * @context nobody can find it any more
 */
function writeLast(m: Mm, inode: number): void {
  const { dirty } = m.hostFile;
  for (let tries = 0; tries < TRIES_MAX && Atomics.load(dirty, inode) > 0; tries++) {
    const before = Atomics.load(dirty, inode);
    writeFilePages(m, inode, 0, 2 ** 31 - 1, true);
    if (Atomics.load(dirty, inode) < before) tries = 0;
  }
  const lost = Atomics.load(dirty, inode);
  if (lost > 0) m.task.events[EV.kr_file_lost] = (m.task.events[EV.kr_file_lost] as number) + lost;
}

/**
 * @param inode I_FREEING, or of no name and no table; its row is that of its pages
 * @context no lock held but s_umount, or names' i_rwsem; may block
 */
export function hostEvict(m: Mm, inode: number): void {
  if ((m.fs.inode.nlink[inode] as number) > 0) {
    writeLast(m, inode);
    if (m.hostFile.uncut[inode] === 1) cutHost(m, inode);
  }
  truncatePages(m, inode, 0);
  mappingReset(m, inode);
  const fd = (m.hostFile.fd[inode] as number) - 1;
  m.hostFile.fd[inode] = 0;
  m.hostFile.size[inode] = 0;
  m.hostFile.uncut[inode] = 0;
  Atomics.store(m.hostFile.wbErr, inode, 0);
  if (fd >= 0) hostClose(fd);
}

/**
 * Closes what a machine that broke has left open on the host. What was dirty is lost with it.
 * @context no thread of the machine is left
 */
export function hostCloseAll(m: Mm): void {
  const { fd } = m.hostFile;
  for (let inode = 1; inode < fd.length; inode++) {
    if (fd[inode] !== 0) hostClose((fd[inode] as number) - 1);
    fd[inode] = 0;
  }
}
