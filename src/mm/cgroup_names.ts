// SPDX-License-Identifier: GPL-2.0-only
/**
 * Names of groups: unique among the online children of one parent, found by hash (the part of
 * kernfs that a group needs). A removed group's name is free at once; its row keeps the text until
 * it is released, for reports.
 */
import { MEMCG_NAME_BYTES } from './limits.ts';
import { type Mm, nameBuckets } from './mm.ts';

/** Where the files of the root group are. */
export const CGROUP_MOUNT = '/sys/fs/cgroup';

/** @returns whether a group may have that name: 1 to 31 printable ASCII characters, no slash */
export function cgroupNameValid(name: string): boolean {
  if (name.length >= MEMCG_NAME_BYTES || name === '.' || name === '..') return false;
  return /^[!-.0-~]+$/.test(name);
}

/** Writes a group's name. @context cgroup_mutex held, or boot */
export function setCgroupName(m: Mm, memcg: number, name: string): void {
  const base = memcg * MEMCG_NAME_BYTES;
  for (let i = 0; i < MEMCG_NAME_BYTES; i++) {
    m.memcgName[base + i] = i < name.length && i + 1 < MEMCG_NAME_BYTES ? name.charCodeAt(i) : 0;
  }
}

/** @returns the name of a group; '' for a free row @context the group is known to be there */
export function cgroupName(m: Mm, memcg: number): string {
  const base = memcg * MEMCG_NAME_BYTES;
  let name = '';
  for (let i = base; m.memcgName[i] !== 0; i++)
    name += String.fromCharCode(m.memcgName[i] as number);
  return name;
}

/** Path of a group below the root: `/` for the root itself. @context as cgroupName */
export function cgroupPath(m: Mm, memcg: number): string {
  let path = '';
  for (let at = memcg; at !== 0; at = m.memcg.parent[at] as number) {
    path = `/${cgroupName(m, at)}${path}`;
  }
  return path === '' ? '/' : path;
}

/** /sys/fs/cgroup/... of a group. @context as cgroupName */
export function memcgPath(m: Mm, memcg: number): string {
  return memcg === 0 ? CGROUP_MOUNT : `${CGROUP_MOUNT}${cgroupPath(m, memcg)}`;
}

/** FNV-1a over the parent and the name. */
function bucketOf(m: Mm, parent: number, name: string): number {
  let hash = Math.imul(0x811c9dc5 ^ parent, 0x01000193);
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (nameBuckets(m.sizes.nrMemcgs) - 1);
}

/** @returns the online child of that name, 0 for none @context cgroup_mutex held */
export function cgroupLookup(m: Mm, parent: number, name: string): number {
  let at = m.cgroupHash[bucketOf(m, parent, name)] as number;
  while (at !== 0 && !(m.memcg.parent[at] === parent && cgroupName(m, at) === name)) {
    at = m.memcg.hashNext[at] as number;
  }
  return at;
}

/** Names a new child of a parent. @context cgroup_mutex held; nobody has the name */
export function hashCgroup(m: Mm, memcg: number, parent: number, name: string): void {
  setCgroupName(m, memcg, name);
  const bucket = bucketOf(m, parent, name);
  m.memcg.hashNext[memcg] = m.cgroupHash[bucket] as number;
  m.cgroupHash[bucket] = memcg;
}

/** Gives a group's name up. @context cgroup_mutex held */
export function unhashCgroup(m: Mm, memcg: number): void {
  const bucket = bucketOf(m, m.memcg.parent[memcg] as number, cgroupName(m, memcg));
  const next = m.memcg.hashNext[memcg] as number;
  let at = m.cgroupHash[bucket] as number;
  if (at === memcg) m.cgroupHash[bucket] = next;
  while (at !== memcg && m.memcg.hashNext[at] !== memcg) at = m.memcg.hashNext[at] as number;
  if (at !== memcg) m.memcg.hashNext[at] = next;
  m.memcg.hashNext[memcg] = 0;
}
