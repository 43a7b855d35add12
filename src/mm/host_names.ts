// SPDX-License-Identifier: GPL-2.0-only
/**
 * Paths below a mount of the host, as the numbers that dentries know: equal paths have one number,
 * whatever the mount. A path keeps its number until the machine ends.
 *
 * Names are found without a lock: a row is written before the count that publishes it.
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { EBUSY, EINVAL, ENOSPC } from './errno.ts';
import { HOST_DIR_BYTES, HOST_NAME_BYTES, HOST_NAMES_LOCK, HOST_NAMES_USED } from './host_types.ts';
import { LC_HOST_NAMES } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** What this thread has looked up before. */
const known = new WeakMap<Mm, Map<string, number>>();

function knownOf(m: Mm): Map<string, number> {
  let map = known.get(m);
  if (map === undefined) {
    map = new Map();
    known.set(m, map);
  }
  return map;
}

function readText(bytes: Uint8Array, from: number, most: number): string {
  const end = bytes.indexOf(0, from);
  const to = end < 0 || end > from + most ? from + most : end;
  return Buffer.from(bytes.slice(from, to)).toString('utf8');
}

/** Is it a path that stays below its mount, and fits? */
function validPath(path: string): boolean {
  const parts = path.split('/');
  const plain = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  return plain && !path.includes('\0') && Buffer.byteLength(path) < HOST_NAME_BYTES;
}

/** Publishes rows that others added since this thread looked last. @returns how many there are */
function catchUp(m: Mm, map: Map<string, number>): number {
  const used = Atomics.load(m.hostInfo, HOST_NAMES_USED);
  for (let row = map.size; row < used; row++) {
    map.set(readText(m.hostName, row * HOST_NAME_BYTES, HOST_NAME_BYTES), row + 1);
  }
  return used;
}

/**
 * The number of a path.
 * @param path parts between single slashes, none of them `.` or `..`, below HOST_NAME_BYTES bytes
 * @returns 1 and up; EINVAL, or ENOSPC when the machine knows as many paths as it can (dentriesMax)
 * @context any thread, no lock held that comes after host_names
 */
export function hostNameId(m: Mm, path: string): number {
  const map = knownOf(m);
  const seen = map.get(path);
  if (seen !== undefined) return seen;
  if (!validPath(path)) return EINVAL;
  spinLock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
  const used = catchUp(m, map);
  let id = map.get(path) ?? 0;
  if (id === 0 && (used + 1) * HOST_NAME_BYTES > m.hostName.length) id = ENOSPC;
  if (id === 0) {
    m.hostName.set(Buffer.from(path, 'utf8'), used * HOST_NAME_BYTES);
    Atomics.store(m.hostInfo, HOST_NAMES_USED, used + 1);
    id = used + 1;
    map.set(path, id);
  }
  spinUnlock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
  return id;
}

/** @returns the path of a number that `hostNameId` gave @context any */
export function hostNameOf(m: Mm, id: number): string {
  return readText(m.hostName, (id - 1) * HOST_NAME_BYTES, HOST_NAME_BYTES);
}

/** Is one of two directories the other, or below it? */
function sameOrBelow(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return long === short || long.startsWith(short.endsWith('/') ? short : `${short}/`);
}

/**
 * Gives a mount its directory. No two mounts reach the same files: each would cache them, and not
 * see what the other writes.
 * @param dir a path without links
 * @returns 0; EINVAL when it is too long, EBUSY when it, or one above or below it, is mounted
 * @context s_umount; takes host_names
 */
export function claimHostDir(m: Mm, sb: number, dir: string): number {
  const bytes = Buffer.from(dir, 'utf8');
  if (bytes.length >= HOST_DIR_BYTES || bytes.includes(0)) return EINVAL;
  spinLock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
  let taken = false;
  for (let other = 1; other < m.sizes.fs.nrSupers && !taken; other++) {
    const theirs = hostDirOf(m, other);
    taken = theirs !== '' && sameOrBelow(theirs, dir);
  }
  if (!taken) m.hostDir.set(bytes, sb * HOST_DIR_BYTES);
  spinUnlock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
  return taken ? EBUSY : 0;
}

/** A mount's directory is free to be mounted again. @context s_umount; takes host_names */
export function releaseHostDir(m: Mm, sb: number): void {
  spinLock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
  m.hostDir.fill(0, sb * HOST_DIR_BYTES, (sb + 1) * HOST_DIR_BYTES);
  spinUnlock(m.hostInfo, HOST_NAMES_LOCK, LC_HOST_NAMES);
}

/** @returns the directory of a mount, '' for none @context the mount is held, or host_names */
export function hostDirOf(m: Mm, sb: number): string {
  return readText(m.hostDir, sb * HOST_DIR_BYTES, HOST_DIR_BYTES);
}

/** @returns the path of a file on the host @context the mount is held */
export function hostPath(m: Mm, sb: number, name: number): string {
  return `${hostDirOf(m, sb)}/${hostNameOf(m, name)}`;
}
