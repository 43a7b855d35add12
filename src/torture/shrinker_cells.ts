// SPDX-License-Identifier: GPL-2.0-only
/**
 * The private data of the shrinkers under torture, and their callbacks. A cell is poisoned the
 * moment shrinkerFree has returned: a callback that runs then, or ends after it, is seen.
 *
 *   count   objects of (group, node), SHRINK_EMPTY, at times 0; a ledger shrinker a large constant,
 *           so that what it puts off is never cut: its work grows by exactly the share of the pass,
 *           and falls by exactly what is scanned
 *   scan    takes objects; a ledger shrinker stops at times, or scans a part
 */
import { rcuMightSleep, rcuQuiescent } from '../../shared/rcu.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import { MEMCG_ONLINE } from '../mm/mm_types.ts';
import { shrinkerPut } from '../mm/shrinker.ts';
import { setShrinkerBit } from '../mm/shrinker_info.ts';
import {
  registerShrinkerType,
  SHRINK_EMPTY,
  SHRINK_STOP,
  SHRINKER_TYPE_USER,
  type ShrinkControl,
} from '../mm/shrinker_ops.ts';
import {
  CELL_CLOSING,
  CELL_FREE,
  CELL_MADE,
  CELL_SHOWN,
  GROUPS,
  KIND_LEDGER,
  KIND_NUMA,
  NODES,
  napOffline,
  objectsAt,
  type ShrinkerTables,
  type ShrinkerThread,
} from './shrinker_tables.ts';

/** Objects that a ledger shrinker says it has, and what an object costs it. */
export const LEDGER_OBJECTS = 1 << 26;
export const LEDGER_SEEKS = 1 << 16;
export const LEDGER_BATCH = 1 << 16;

/** Share of one pass: the formula of doShrinkSlab, from its definition. */
function ledgerShare(priority: number): number {
  return ((LEDGER_OBJECTS / 2 ** priority) * 4) / LEDGER_SEEKS;
}

const BATCH_MAX = 128;

/** @returns null when all is well, else what is wrong with the cell that a callback was given */
function cellFault(t: ShrinkerTables, sc: ShrinkControl): string | null {
  const { state, magic, shrinker } = t.cell;
  const at = sc.arg;
  const now = Atomics.load(state, at);
  if (Atomics.load(magic, at) === POISON_FREE || now === CELL_FREE) return 'was freed';
  if (now === CELL_MADE) return 'is not registered yet';
  if (Atomics.load(shrinker, at) !== sc.shrinker) return 'belongs to another by now';
  return null;
}

/** Runs a callback between two looks at its private data. */
function inCell(thread: ShrinkerThread, sc: ShrinkControl, what: string, run: () => number) {
  const { t, ctx } = thread;
  const { inside, magic } = t.cell;
  const at = sc.arg;
  const before = cellFault(t, sc);
  if (before !== null) {
    ctx.fail(`${what} of shrinker ${sc.shrinker} begins, whose private data ${before}`);
    return 0;
  }
  const generation = Atomics.load(magic, at);
  Atomics.add(inside, at, 1);
  const result = run();
  stall(thread);
  if (thread.busted === 'put' && ctx.rarely(64)) shrinkerPut(thread.m, sc.shrinker);
  const after = cellFault(t, sc);
  if (after !== null || Atomics.load(magic, at) !== generation) {
    ctx.fail(`${what} of shrinker ${sc.shrinker} ends, whose private data ${after ?? 'changed'}`);
    return 0;
  }
  Atomics.sub(inside, at, 1);
  return result;
}

/** Callbacks may sleep, and nobody holds RCU around them. */
function stall({ ctx, calm }: ShrinkerThread): void {
  rcuMightSleep();
  if (calm) return;
  if (ctx.rarely(4096)) napOffline(ctx, 1 + ctx.prng.below(4));
  else if (ctx.rarely(128)) napOffline(ctx, 0.05);
  else if (ctx.rarely(8)) ctx.spin(ctx.prng.below(200));
  if (ctx.rarely(4)) rcuQuiescent();
}

/** Objects of a shrinker that does not tell nodes apart, and its put-off work, are on node 0. */
const nodeOf = (kind: number, nid: number): number => ((kind & KIND_NUMA) === 0 ? 0 : nid);

function countObjects(thread: ShrinkerThread, sc: ShrinkControl): number {
  const { t, ctx, calm, count } = thread;
  const kind = Atomics.load(t.cell.kind, sc.arg);
  count.counts++;
  if (!calm && ctx.rarely(64)) return 0;
  if ((kind & KIND_LEDGER) !== 0) {
    Atomics.add(t.ledger, sc.arg * NODES + nodeOf(kind, sc.nid), ledgerShare(thread.priority));
    return LEDGER_OBJECTS;
  }
  const at = objectsAt(sc.arg, sc.memcg, nodeOf(kind, sc.nid));
  const objects = Atomics.load(t.objects, at);
  if (objects < 0) ctx.fail(`shrinker ${sc.shrinker} has ${objects} objects`);
  return objects || SHRINK_EMPTY;
}

function scanLedger({ t, ctx, count }: ShrinkerThread, kind: number, sc: ShrinkControl): number {
  if (sc.nrToScan > LEDGER_BATCH) ctx.fail(`a scan of ${sc.nrToScan} objects, above the batch`);
  if (ctx.rarely(2)) return SHRINK_STOP;
  if (ctx.rarely(4)) sc.nrScanned = ctx.prng.below(sc.nrToScan + 1);
  Atomics.sub(t.ledger, sc.arg * NODES + nodeOf(kind, sc.nid), sc.nrScanned);
  count.scanned += sc.nrScanned;
  return 0;
}

function scanObjects(thread: ShrinkerThread, sc: ShrinkControl): number {
  const { t, ctx, count } = thread;
  const kind = Atomics.load(t.cell.kind, sc.arg);
  count.scans++;
  if (sc.nrToScan < 1 || sc.nrScanned !== sc.nrToScan) {
    ctx.fail(`a scan is asked for ${sc.nrToScan} objects, and ${sc.nrScanned} are said scanned`);
  }
  if ((kind & KIND_LEDGER) !== 0) return scanLedger(thread, kind, sc);
  if (sc.nrToScan > BATCH_MAX) ctx.fail(`a scan of ${sc.nrToScan} objects, above the batch`);
  if (ctx.rarely(32)) return SHRINK_STOP;
  if (ctx.rarely(8)) sc.nrScanned = ctx.prng.below(sc.nrToScan + 1);
  count.scanned += sc.nrScanned;
  const at = objectsAt(sc.arg, sc.memcg, nodeOf(kind, sc.nid));
  for (;;) {
    const objects = Atomics.load(t.objects, at);
    const taken = Math.min(objects, sc.nrScanned);
    if (Atomics.compareExchange(t.objects, at, objects, objects - taken) !== objects) continue;
    Atomics.add(t.cell.freed, sc.arg, taken);
    count.freed += taken;
    return taken;
  }
}

/** Installs the callbacks in this thread. */
export function installCallbacks(thread: ShrinkerThread): void {
  registerShrinkerType(thread.m, SHRINKER_TYPE_USER, {
    countObjects: (_, sc) => inCell(thread, sc, 'a count', () => countObjects(thread, sc)),
    scanObjects: (_, sc) => inCell(thread, sc, 'a scan', () => scanObjects(thread, sc)),
  });
}

/** Keeps a cell's shrinker from being freed, if it is not about to be. */
export function useCell(t: ShrinkerTables, cell: number): boolean {
  const { users, state } = t.cell;
  Atomics.add(users, cell, 1);
  const now = Atomics.load(state, cell);
  if (now !== CELL_FREE && now !== CELL_CLOSING) return true;
  Atomics.sub(users, cell, 1);
  return false;
}

export function unuseCell(t: ShrinkerTables, cell: number): void {
  Atomics.sub(t.cell.users, cell, 1);
}

/** No object comes to the cell after this. @context may sleep */
export function closeCell({ t, ctx }: ShrinkerThread, cell: number): void {
  Atomics.store(t.cell.state, cell, CELL_CLOSING);
  while (Atomics.load(t.cell.users, cell) !== 0) napOffline(ctx, 0.05);
}

/**
 * Adds objects to a cell, as an owner does: the object, then the bit. Those of a group that is
 * removed meanwhile are its parent's.
 * @context a reference on the group is held, and the cell is used
 */
export function addObjects(
  thread: ShrinkerThread,
  cell: number,
  group: number,
  nid: number,
  nr: number,
): void {
  const { t, m, ctx } = thread;
  const at = objectsAt(cell, group, nid);
  const id = Atomics.load(t.cell.id, cell);
  const early = thread.busted === 'bit';
  if (early) {
    setShrinkerBit(m, group, nid, id);
    ctx.gap();
  }
  const before = Atomics.add(t.objects, at, nr);
  if (before === 0 && !early) setShrinkerBit(m, group, nid, id);
  // A group leaves ONLINE before its objects are moved.
  if (group !== 0 && Atomics.load(m.memcg.state, group) !== MEMCG_ONLINE) {
    moveObjects(thread, cell, group, nid);
  }
}

/** Moves a cell's objects to the parent of their group. @context as addObjects */
export function moveObjects(thread: ShrinkerThread, cell: number, group: number, nid: number) {
  const { t, m } = thread;
  const at = objectsAt(cell, group, nid);
  const moved = Atomics.load(t.objects, at) && Atomics.exchange(t.objects, at, 0);
  if (moved !== 0) addObjects(thread, cell, m.memcg.parent[group] as number, nid, moved);
}

/** All objects of a cell, which go with it. @context the shrinker is freed: nobody is at them */
export function dropObjects(t: ShrinkerTables, cell: number): number {
  const first = objectsAt(cell, 0, 0);
  let objects = 0;
  for (let at = first; at < first + GROUPS * NODES; at++) {
    objects += Atomics.exchange(t.objects, at, 0);
  }
  return objects;
}

/** Cells whose callbacks may run, of `state`. */
export function isLive(state: number): boolean {
  return state === CELL_MADE || state === CELL_SHOWN;
}
