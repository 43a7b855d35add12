// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walkers over mounts: every dentry and inode belongs to one, is in one state, and is counted.
 */
import type { Checker } from './check.ts';
import {
  dentryHash,
  hashFind,
  inodeHash,
  type SuperList,
  superDentries,
  superInodes,
} from './fs_lists.ts';
import {
  D_HASHED,
  D_LRU_LIST,
  D_MAY_FREE,
  D_PINNED,
  D_SHRINK_LIST,
  I_FREEING,
  I_HASHED,
  SB_BORN,
  SB_FREE,
} from './fs_types.ts';
import { listLruOnList } from './list_lru.ts';
import type { Mm } from './mm.ts';
import { itemOf } from './slab.ts';
import { CACHE_DENTRY, CACHE_INODE, OBJECT_USED } from './slab_types.ts';

/** Rows on a mount's list; conservation: made = freed + live. */
function checkSuperList(
  m: Mm,
  check: Checker,
  sb: number,
  cache: number,
  list: SuperList,
): number[] {
  const rows: number[] = [];
  let before = 0;
  for (let row = list.first[sb] as number; row !== 0; row = list.next[row] as number) {
    if (list.prev[row] !== before || rows.length > list.next.length) {
      throw new Error(`list of mount ${sb} is broken at ${row}`);
    }
    check.equal(
      m.object.state[itemOf(m, cache, row)] as number,
      OBJECT_USED,
      `state of object ${row} of mount ${sb}`,
    );
    rows.push(row);
    before = row;
  }
  const live = ((list.made[sb] as number) - (list.freed[sb] as number)) | 0;
  check.equal(live, rows.length, `cache ${cache} of mount ${sb}: made - freed`);
  return rows;
}

function checkDentry(m: Mm, check: Checker, sb: number, row: number): void {
  const { dentry } = m.fs;
  const flags = dentry.flags[row] as number;
  const count = dentry.count[row] as number;
  const listed = listLruOnList(m, itemOf(m, CACHE_DENTRY, row));
  check.equal(dentry.sb[row] as number, sb, `mount of dentry ${row}`);
  check.equal(flags & (D_SHRINK_LIST | D_MAY_FREE), 0, `dentry ${row} is being shrunk`);
  check.equal((flags & D_LRU_LIST) !== 0 ? 1 : 0, listed ? 1 : 0, `dentry ${row} on a list`);
  check.that(count > 0 || (count === 0 && listed), () => `dentry ${row}: ${count} references`);
  check.equal(dentry.lock[row] as number, 0, `d_lock of dentry ${row}`);
  if ((flags & D_HASHED) !== 0) {
    const found = hashFind(dentryHash(m), sb, dentry.name[row] as number);
    check.equal(found, row, `dentry of name ${dentry.name[row]} of mount ${sb}`);
  }
  if ((flags & D_PINNED) !== 0) {
    const linked = dentry.inode[row] !== 0 && (flags & D_HASHED) !== 0 && count > 0;
    check.that(linked, () => `dentry ${row} is pinned and has no file`);
  }
}

function checkInode(m: Mm, check: Checker, sb: number, row: number, refs: number): void {
  const { inode } = m.fs;
  const state = inode.state[row] as number;
  const count = inode.count[row] as number;
  const listed = listLruOnList(m, itemOf(m, CACHE_INODE, row));
  check.equal(inode.sb[row] as number, sb, `mount of inode ${row}`);
  check.equal(state & I_FREEING, 0, `inode ${row} is being freed`);
  check.that(count > 0 || listed, () => `inode ${row} is neither used nor on a list`);
  check.that(count >= refs, () => `inode ${row}: ${count} references, ${refs} dentries`);
  check.equal(inode.lock[row] as number, 0, `i_lock of inode ${row}`);
  if ((state & I_HASHED) !== 0) {
    const found = hashFind(inodeHash(m), sb, inode.ino[row] as number);
    check.equal(found, row, `inode ${inode.ino[row]} of mount ${sb}`);
  }
}

/** Dentries, inodes, and the references between them: all but open files' are accounted for. */
function checkSuper(m: Mm, check: Checker, sb: number): { dentries: number; inodes: number } {
  const refs = new Map<number, number>();
  const dentries = checkSuperList(m, check, sb, CACHE_DENTRY, superDentries(m));
  for (const row of dentries) {
    checkDentry(m, check, sb, row);
    const inode = m.fs.dentry.inode[row] as number;
    if (inode !== 0) refs.set(inode, (refs.get(inode) ?? 0) + 1);
  }
  const inodes = checkSuperList(m, check, sb, CACHE_INODE, superInodes(m));
  let open = 0;
  for (const row of inodes) {
    const named = refs.get(row) ?? 0;
    checkInode(m, check, sb, row, named);
    open += (m.fs.inode.count[row] as number) - named;
  }
  check.equal(Atomics.load(m.fs.super.users, sb), open, `open files of mount ${sb}`);
  return { dentries: dentries.length, inodes: inodes.length };
}

function liveObjects(m: Mm, cache: number, rows: number): number {
  let live = 0;
  for (let row = 1; row < rows; row++) {
    if (m.object.state[itemOf(m, cache, row)] === OBJECT_USED) live++;
  }
  return live;
}

/** @context quiescence: no call under way; files may be open */
export function checkFiles(m: Mm, check: Checker): void {
  let dentries = 0;
  let inodes = 0;
  for (let sb = 1; sb < m.sizes.fs.nrSupers; sb++) {
    const state = Atomics.load(m.fs.super.state, sb);
    if (state === SB_FREE) continue;
    check.equal(state, SB_BORN, `state of mount ${sb}`);
    const found = checkSuper(m, check, sb);
    dentries += found.dentries;
    inodes += found.inodes;
  }
  check.equal(liveObjects(m, CACHE_DENTRY, m.sizes.fs.nrDentries), dentries, 'live dentries');
  check.equal(liveObjects(m, CACHE_INODE, m.sizes.fs.nrInodes), inodes, 'live inodes');
}
