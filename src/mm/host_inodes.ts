// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walking the files of all mounts of the host (fs/fs-writeback.c, fs/drop_caches.c): each is held
 * while it is looked at, with its mount's s_umount for reading, by trylock: who unmounts writes
 * everything back himself.
 */
import { rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { HOSTFS, SB_BORN } from './fs_types.ts';
import { igrabRow, iput } from './inode.ts';
import { LC_S_UMOUNT } from './lock_order.ts';
import type { Mm } from './mm.ts';

/**
 * Visits the files of mounts of the host.
 * @param wanted cheap test of an inode's row, which may be free or another's
 * @param visit the file, held
 * @context no lock held; may block as `visit` does
 */
export function forEachHostInode(
  m: Mm,
  wanted: (inode: number) => boolean,
  visit: (inode: number) => void,
): void {
  if (!m.config.hostFiles) return;
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    if (!wanted(inode)) continue;
    const sb = m.fs.inode.sb[inode] as number;
    if (sb === 0 || m.fs.super.type[sb] !== HOSTFS) continue;
    if (!rwsemTryRead(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT)) continue;
    const born = Atomics.load(m.fs.super.state, sb) === SB_BORN;
    if (born && igrabRow(m, inode, sb)) {
      visit(inode);
      iput(m, inode);
    }
    rwsemUpRead(m.fs.umountLock, sb * LINE_WORDS, LC_S_UMOUNT);
  }
}
