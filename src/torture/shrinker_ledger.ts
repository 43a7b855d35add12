// SPDX-License-Identifier: GPL-2.0-only
/**
 * Work put off, added up. A ledger shrinker's callbacks know what each pass adds to it and takes
 * from it; at rest that is what its cells hold, over all groups. What one id leaves behind is found
 * in the cells of the next.
 */
import type { ShrinkerFlaw } from '../mm/config.ts';
import { SHRINKER_UNIT_BITS } from '../mm/shrinker_types.ts';
import { isLive } from './shrinker_cells.ts';
import {
  CELLS,
  GROUPS,
  KIND_LEDGER,
  NODES,
  type ShrinkerTables,
  type ShrinkerThread,
} from './shrinker_tables.ts';

/** Cells that hold more are emptied at rest, long before the core would cut them. */
const LEDGER_MOST = 1 << 24;

/** A violation that the flaws of the policy explain: it is counted, and is no failure. */
export function excused({ m, ctx }: ShrinkerThread, ...flaws: ShrinkerFlaw[]): boolean {
  return !ctx.busted && flaws.some((flaw) => m.shrinkerFlaws.has(flaw));
}

/** Cell of an id in a group on a node, whether the group has it now or not. */
function unitCell({ m }: ShrinkerThread, id: number, group: number, nid: number): number {
  const unit = (group * NODES + nid) * m.sizes.shrinkers.nrUnits + Math.floor(id / 64);
  return unit * SHRINKER_UNIT_BITS + (id % 64);
}

/** A new shrinker has put nothing off. @context its owner, before it is registered */
export function checkFresh(thread: ShrinkerThread, s: number, id: number): void {
  const { m, ctx } = thread;
  for (let nid = 0; nid < NODES; nid++) {
    const own = Atomics.load(m.shrinker.nrDeferred, s * NODES + nid);
    // What an id left in a group that is removed now goes to the root's cell of the new owner.
    if (own !== 0 && !excused(thread, 'stale-state'))
      ctx.fail(`new row ${s} has put off ${own} objects on node ${nid}`);
    if (id < 0) continue;
    for (let group = 1; group < GROUPS; group++) {
      const nr = Atomics.load(m.shrinker.unitDeferred, unitCell(thread, id, group, nid));
      if (nr === 0 || excused(thread, 'stale-state')) continue;
      ctx.fail(`new row ${s} inherits ${nr} objects put off by another owner of id ${id}`);
      return;
    }
  }
}

/** What a shrinker has put off on a node; cells that hold much are emptied into the ledger. */
function putOff(thread: ShrinkerThread, cell: number, nid: number): number {
  const { t, m, ctx } = thread;
  const s = Atomics.load(t.cell.shrinker, cell);
  const id = Atomics.load(t.cell.id, cell);
  let sum = 0;
  const add = (words: ShrinkerTables['words'], at: number): void => {
    const nr = Atomics.load(words, at);
    if (nr < 0) ctx.fail(`row ${s} has put off ${nr} objects`);
    sum = (sum + nr) | 0;
    if (nr <= LEDGER_MOST) return;
    Atomics.store(words, at, 0);
    Atomics.sub(t.ledger, cell * NODES + nid, nr);
    sum = (sum - nr) | 0;
  };
  add(m.shrinker.nrDeferred, s * NODES + nid);
  for (let group = 1; id >= 0 && group < GROUPS; group++) {
    add(m.shrinker.unitDeferred, unitCell(thread, id, group, nid));
  }
  return sum;
}

/** Every ledger against the cells. @returns those that do not agree, where that is excused */
export function checkLedgers(thread: ShrinkerThread): number {
  const { t, ctx } = thread;
  let wrong = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    const kind = Atomics.load(t.cell.kind, cell);
    if ((kind & KIND_LEDGER) === 0 || !isLive(Atomics.load(t.cell.state, cell))) continue;
    const off: number[] = [];
    for (let nid = 0; nid < NODES; nid++) {
      const cells = putOff(thread, cell, nid);
      off.push((Atomics.load(t.ledger, cell * NODES + nid) - cells) | 0);
    }
    if (off.every((one) => one === 0)) continue;
    wrong++;
    if (excused(thread, 'lost-work', 'stale-state')) continue;
    const s = Atomics.load(t.cell.shrinker, cell);
    ctx.fail(`row ${s}: put-off work is short of the ledger by ${off.join(', ')} (by node)`);
    return wrong;
  }
  return wrong;
}

/** Ids without an owner have put nothing off. @returns those that have, where that is excused */
export function checkOwnerless(thread: ShrinkerThread): number {
  const { m, ctx } = thread;
  let wrong = 0;
  for (let id = 0; id < m.sizes.shrinkers.nrUnits * SHRINKER_UNIT_BITS; id++) {
    if (Atomics.load(m.shrinker.idr, id) !== 0) continue;
    for (let at = NODES; at < GROUPS * NODES; at++) {
      const cell = unitCell(thread, id, Math.floor(at / NODES), at % NODES);
      const nr = Atomics.load(m.shrinker.unitDeferred, cell);
      if (nr === 0) continue;
      wrong++;
      if (excused(thread, 'stale-state', 'lost-work')) continue;
      ctx.fail(`id ${id} has no owner, and ${nr} objects put off`);
      return wrong;
    }
  }
  return wrong;
}
