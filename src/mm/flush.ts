// SPDX-License-Identifier: GPL-2.0-only
/** A pass over everything that is dirty (fs/fs-writeback.c, wb_do_writeback). */

import { forEachHostInode } from './host_inodes.ts';
import { HOST_FLUSH_ASKED, HOST_FLUSH_BEGUN } from './host_types.ts';
import type { Mm } from './mm.ts';
import { overBackground, wakeDirtyWaiters } from './page_writeback.ts';
import { EV } from './vmstat_items.ts';
import { writeFilePages } from './writeback.ts';

/**
 * Is there something to do?
 * @param background more than the background threshold is reason enough
 * @context the flusher; cheap
 */
export function flushWanted(m: Mm, background: boolean): boolean {
  // PAIRS(flusher-wake): read after waitPrepare; who asked sees us in the queue.
  const asked = Atomics.load(m.hostInfo, HOST_FLUSH_ASKED);
  if (asked !== Atomics.load(m.hostInfo, HOST_FLUSH_BEGUN)) return true;
  return background && overBackground(m);
}

/**
 * Writes what is dirty, file by file.
 * @returns pages written
 * @context no lock held; takes s_umount by trylock, folio locks; may block
 */
export function flushPass(m: Mm): number {
  // Requests from here on are for another pass: this one may have passed what they are about.
  Atomics.store(m.hostInfo, HOST_FLUSH_BEGUN, Atomics.load(m.hostInfo, HOST_FLUSH_ASKED));
  const before = m.task.events[EV.kr_file_written] as number;
  const dirty = (inode: number): boolean => Atomics.load(m.hostFile.dirty, inode) > 0;
  forEachHostInode(m, dirty, (inode) => {
    writeFilePages(m, inode, 0, 2 ** 31 - 1, false);
  });
  wakeDirtyWaiters(m);
  return (m.task.events[EV.kr_file_written] as number) - before;
}
