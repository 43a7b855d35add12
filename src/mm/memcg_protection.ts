// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory that reclaim leaves to a group: memory.min and memory.low (mm/page_counter.c
 * propagate_protected_usage and effective_protection; mem_cgroup_calculate_protection).
 *
 * Each group tells its parent how much of its usage it may protect; a parent that cannot protect
 * all of its children's shares what it has among them by their usage, and hands what nobody claims
 * to those with unprotected memory (memory_recursiveprot). What is in force is worked out from the
 * top down by every walk of reclaim; a moment old is good enough.
 */
import type { Mm } from './mm.ts';

/** Word of `m.cgroup`: groups with a min or a low. At 0 walks need not look. */
export const CGROUP_PROTECTED = 6;

/** What one group protects, and what its parent is told. */
interface Protection {
  readonly setting: 'min' | 'low';
  readonly effective: 'emin' | 'elow';
  readonly usage: 'minUsage' | 'lowUsage';
  readonly children: 'childrenMin' | 'childrenLow';
}

const MIN: Protection = {
  setting: 'min',
  effective: 'emin',
  usage: 'minUsage',
  children: 'childrenMin',
};
const LOW: Protection = {
  setting: 'low',
  effective: 'elow',
  usage: 'lowUsage',
  children: 'childrenLow',
};

function propagate(m: Mm, memcg: number, usage: number, kind: Protection): void {
  const setting = Atomics.load(m.memcg[kind.setting], memcg);
  const told = m.memcg[kind.usage];
  if (setting === 0 && Atomics.load(told, memcg) === 0) return;
  const now = Math.min(usage, setting);
  // Whoever exchanges last is right; the differences add up to it.
  const before = Atomics.exchange(told, memcg, now);
  if (now === before) return;
  Atomics.add(m.memcg[kind.children], m.memcg.parent[memcg] as number, now - before);
}

/**
 * Tells the parent what of a group's usage is protected now.
 * @param usage pages that are charged to the subtree
 * @context whoever changed the usage; the group is pinned; not the root
 */
export function propagateProtectedUsage(m: Mm, memcg: number, usage: number): void {
  if (Atomics.load(m.cgroup, CGROUP_PROTECTED) === 0) return;
  propagate(m, memcg, usage, MIN);
  propagate(m, memcg, usage, LOW);
}

function setProtection(m: Mm, memcg: number, pages: number, kind: Protection): void {
  const before = Atomics.exchange(m.memcg[kind.setting], memcg, pages);
  if (before === 0 && pages > 0) Atomics.add(m.cgroup, CGROUP_PROTECTED, 1);
  propagate(m, memcg, Atomics.load(m.memcg.usage, memcg), kind);
  if (before > 0 && pages === 0) Atomics.sub(m.cgroup, CGROUP_PROTECTED, 1);
}

/** Sets memory.min. @param pages 0 for none @context a reference is held; not the root */
export function memcgSetMin(m: Mm, memcg: number, pages: number): void {
  setProtection(m, memcg, pages, MIN);
}

/** Sets memory.low. @param pages 0 for none @context as memcgSetMin */
export function memcgSetLow(m: Mm, memcg: number, pages: number): void {
  setProtection(m, memcg, pages, LOW);
}

/**
 * A group is released: what its parent was told last, perhaps by a charge that ran into the reset,
 * is taken back.
 * @context cgroup_mutex held; nobody charges to the group any more
 */
export function dropProtection(m: Mm, memcg: number): void {
  for (const kind of [MIN, LOW]) {
    const told = Atomics.exchange(m.memcg[kind.usage], memcg, 0);
    if (told !== 0) Atomics.sub(m.memcg[kind.children], m.memcg.parent[memcg] as number, told);
  }
}

/**
 * What of a group's setting is in force below a parent.
 * @param parentEffective what the parent protects @param siblings what all its children ask for
 * @returns pages
 */
export function effectiveProtection(
  usage: number,
  parentUsage: number,
  setting: number,
  parentEffective: number,
  siblings: number,
): number {
  const own = Math.min(usage, setting);
  if (siblings > parentEffective) return Math.floor((own * parentEffective) / siblings);
  const unclaimed = parentEffective - siblings;
  const open = parentUsage - siblings;
  if (unclaimed <= 0 || open <= 0 || usage <= own) return own;
  return own + Math.floor((unclaimed * (usage - own)) / open);
}

/** @returns whether walks have to look at protection at all */
export function protectionInForce(m: Mm): boolean {
  return Atomics.load(m.cgroup, CGROUP_PROTECTED) !== 0;
}

function calculate(m: Mm, root: number, memcg: number, kind: Protection): void {
  const usage = Atomics.load(m.memcg.usage, memcg);
  if (usage === 0) return;
  const setting = Atomics.load(m.memcg[kind.setting], memcg);
  const parent = m.memcg.parent[memcg] as number;
  const effective = m.memcg[kind.effective];
  if (parent === root) {
    Atomics.store(effective, memcg, setting);
    return;
  }
  const parentUsage = Atomics.load(m.memcg.usage, parent);
  const parentEffective = Atomics.load(effective, parent);
  const siblings = Atomics.load(m.memcg[kind.children], parent);
  Atomics.store(
    effective,
    memcg,
    effectiveProtection(usage, parentUsage, setting, parentEffective, siblings),
  );
}

/**
 * Works out what of a group's protection is in force, for reclaim below `root`.
 * @context a walk that has done so for the group's parent; both are referenced
 */
export function calculateProtection(m: Mm, root: number, memcg: number): void {
  if (memcg === root || memcg === 0) return;
  calculate(m, root, memcg, MIN);
  calculate(m, root, memcg, LOW);
}

/** Is all of a group below memory.min? @param target group whose reclaim it is */
export function belowMin(m: Mm, target: number, memcg: number): boolean {
  if (memcg === 0 || memcg === target) return false;
  return Atomics.load(m.memcg.emin, memcg) >= Atomics.load(m.memcg.usage, memcg);
}

/** Is all of a group below memory.low? @param target group whose reclaim it is */
export function belowLow(m: Mm, target: number, memcg: number): boolean {
  if (memcg === 0 || memcg === target) return false;
  return Atomics.load(m.memcg.elow, memcg) >= Atomics.load(m.memcg.usage, memcg);
}

/** memory.min in force @context as belowMin */
export function minInForce(m: Mm, target: number, memcg: number): number {
  return memcg === 0 || memcg === target ? 0 : Atomics.load(m.memcg.emin, memcg);
}

/** memory.low in force @context as belowMin */
export function lowInForce(m: Mm, target: number, memcg: number): number {
  return memcg === 0 || memcg === target ? 0 : Atomics.load(m.memcg.elow, memcg);
}
