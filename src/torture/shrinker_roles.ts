// SPDX-License-Identifier: GPL-2.0-only
/** What the threads of the shrinker torture do: walk, make and free shrinkers, add objects. */
import { rcuQuiescent } from '../../shared/rcu.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import { memcgPut, memcgTryGet } from '../mm/memcg_css.ts';
import { FULL_WALK, memcgIter, memcgIterBreak } from '../mm/memcg_iter.ts';
import { shrinkSlab } from '../mm/shrink_slab.ts';
import { shrinkerAlloc, shrinkerFree, shrinkerRegister } from '../mm/shrinker.ts';
import { GFP_KERNEL, SHRINKER_TYPE_USER } from '../mm/shrinker_ops.ts';
import {
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NONSLAB,
  SHRINKER_NUMA_AWARE,
} from '../mm/shrinker_types.ts';
import { EV } from '../mm/vmstat_items.ts';
import type { Tally } from './job.ts';
import { restsNow, turnOf } from './shrinker_barrier.ts';
import {
  addObjects,
  closeCell,
  dropObjects,
  isLive,
  LEDGER_BATCH,
  LEDGER_SEEKS,
  unuseCell,
  useCell,
} from './shrinker_cells.ts';
import { checkFresh } from './shrinker_ledger.ts';
import {
  CELL_FREE,
  CELL_MADE,
  CELL_SHOWN,
  DOING_ALLOC,
  DOING_FREE,
  DOING_REGISTER,
  DOING_WALK,
  doing,
  KIND_AWARE,
  KIND_LEDGER,
  KIND_NUMA,
  NODES,
  napOffline,
  type ShrinkerThread,
  TIDE,
} from './shrinker_tables.ts';

// ---- Walkers: what reclaim does.

const PRIORITIES = [0, 0, 1, 4, 8, 12];

/** One group on one node. What callbacks say they freed is what the walk says. */
export function walk(thread: ShrinkerThread, group: number, nid: number, priority: number): void {
  const { m, ctx, count, calm } = thread;
  const skipped = m.task.events[EV.kr_shrink_skipped];
  thread.priority = priority;
  const before = count.freed;
  const freed = shrinkSlab(m, GFP_KERNEL, nid, group, priority);
  count.walks++;
  const own = count.freed - before;
  const { shrinker } = m.config;
  // A walk that was cut short says that it made progress.
  const short = freed === 1 && own === 0 && (shrinker === 'rwsem' || shrinker === 'srcu');
  if (freed !== own && !short) ctx.fail(`a walk freed ${own} objects, and says ${freed}`);
  rcuQuiescent();
  if (m.task.events[EV.kr_shrink_skipped] === skipped) return;
  // Nothing was walked: who has the lock gets some time.
  if (!calm) napOffline(ctx, 0.02);
}

/**
 * Every group below one, as reclaim does; ends early when all are to rest.
 * @param cookie FULL_WALK, or the node whose walk is shared with others
 */
export function walkAll(
  thread: ShrinkerThread,
  root: number,
  nid: number,
  priority: number,
  cookie: number,
): void {
  const { m, ctx, calm } = thread;
  let group = memcgIter(m, root, -1, cookie);
  for (; group >= 0; group = memcgIter(m, root, group, cookie)) {
    walk(thread, group, nid, priority);
    const ends = ctx.stopped || restsNow(thread) || ctx.rarely(256);
    if (calm || !ends) continue;
    memcgIterBreak(m, root, group);
    return;
  }
}

export function walkerBody(thread: ShrinkerThread): Tally {
  const { ctx } = thread;
  const { prng } = ctx;
  while (turnOf(thread)) {
    doing(thread, DOING_WALK);
    const nid = prng.below(NODES);
    const priority = PRIORITIES[prng.below(PRIORITIES.length)] as number;
    const how = prng.below(8);
    if (how === 0) walk(thread, 0, nid, priority);
    else if (how < 4) walkAll(thread, 0, nid, priority, how === 1 ? nid : FULL_WALK);
    else walkBelow(thread, prng.below(thread.groups), nid, priority);
    if (ctx.rarely(256)) napOffline(ctx, prng.below(3));
  }
  return {};
}

/** A group alone, or all below it: reclaim at a limit. */
function walkBelow(thread: ShrinkerThread, group: number, nid: number, priority: number): void {
  const { m, ctx } = thread;
  if (!memcgTryGet(m, group)) return;
  if (ctx.rarely(4)) walkAll(thread, group, nid, priority, ctx.rarely(2) ? nid : FULL_WALK);
  else walk(thread, group, nid, priority);
  memcgPut(m, group);
}

// ---- Churners: who mounts and unmounts. Each has cells of its own.

/** Objects' places that a churner of few cells fills at once. */
const NARROW_OBJECTS = 24;

/** Cells first .. end-1 are the churner's. */
export interface Share {
  readonly first: number;
  readonly end: number;
}

export function churnerBody(thread: ShrinkerThread, share: Share): Tally {
  const { t, ctx } = thread;
  const tally = { made: 0, freed: 0, full: 0, unseen: 0 };
  // One id after another that goes from hand to hand, for a race that needs just that.
  const narrow = thread.busted === 'stale-clear';
  const end = Math.min(share.first + thread.cells, share.end);
  for (let generation = 1; turnOf(thread); generation++) {
    const cell = share.first + ctx.prng.below(end - share.first);
    const there = isLive(Atomics.load(t.cell.state, cell));
    const more = narrow || wantsMore(thread, share);
    const again = narrow || ctx.rarely(4);
    if (there && (!more || again)) freeCell(thread, cell, tally);
    if (more && (!there || again)) makeCell(thread, cell, generation, tally);
    rcuQuiescent();
    if (ctx.rarely(64)) napOffline(ctx, ctx.prng.below(10) / 10);
  }
  return tally;
}

/** Mostly towards the tide, at times against it. */
function wantsMore({ t, ctx }: ShrinkerThread, share: Share): boolean {
  let live = 0;
  for (let cell = share.first; cell < share.end; cell++) {
    if (isLive(Atomics.load(t.cell.state, cell))) live++;
  }
  const aim = (Atomics.load(t.words, TIDE) * (share.end - share.first)) >> 8;
  return live < aim !== ctx.rarely(8);
}

type ChurnTally = { made: number; freed: number; full: number; unseen: number };

function drawKind({ ctx }: ShrinkerThread): number {
  const aware = ctx.rarely(8) ? 0 : KIND_AWARE;
  return aware | (ctx.rarely(2) ? KIND_NUMA : 0) | (ctx.rarely(4) ? KIND_LEDGER : 0);
}

function makeCell(thread: ShrinkerThread, cell: number, generation: number, tally: ChurnTally) {
  const { t, m, ctx } = thread;
  const kind = drawKind(thread);
  const nonslab = ctx.rarely(4) ? SHRINKER_NONSLAB : 0;
  const flags =
    ((kind & KIND_AWARE) !== 0 ? SHRINKER_MEMCG_AWARE : 0) |
    ((kind & KIND_NUMA) !== 0 ? SHRINKER_NUMA_AWARE : 0) |
    nonslab;
  doing(thread, DOING_ALLOC);
  const s = shrinkerAlloc(m, flags, SHRINKER_TYPE_USER, cell, `cell${cell}`);
  if (s < 0) {
    tally.full++;
    return;
  }
  const id = m.shrinker.id[s] as number;
  if ((kind & KIND_LEDGER) !== 0) {
    m.shrinker.seeks[s] = LEDGER_SEEKS;
    m.shrinker.batch[s] = LEDGER_BATCH;
  }
  checkFresh(thread, s, id);
  for (let nid = 0; nid < NODES; nid++) Atomics.store(t.ledger, cell * NODES + nid, 0);
  Atomics.store(t.cell.added, cell, 0);
  Atomics.store(t.cell.freed, cell, 0);
  Atomics.store(t.cell.shrinker, cell, s);
  Atomics.store(t.cell.id, cell, id);
  Atomics.store(t.cell.kind, cell, id < 0 ? kind & ~KIND_AWARE : kind);
  Atomics.store(t.cell.magic, cell, generation);
  Atomics.store(t.cell.state, cell, CELL_MADE);
  tally.made++;
  const seeds = thread.busted === 'stale-clear' ? NARROW_OBJECTS : ctx.prng.below(8);
  for (let i = 0; i < seeds; i++) addTo(thread, cell);
  if (ctx.rarely(8)) napOffline(ctx, 0.1);
  if (ctx.rarely(16)) {
    tally.unseen++;
    return;
  }
  Atomics.store(t.cell.state, cell, CELL_SHOWN);
  doing(thread, DOING_REGISTER, s);
  shrinkerRegister(m, s);
}

function freeCell(thread: ShrinkerThread, cell: number, tally: ChurnTally): void {
  const { t, m, ctx } = thread;
  const s = Atomics.load(t.cell.shrinker, cell);
  closeCell(thread, cell);
  if (thread.busted === 'poison') {
    Atomics.store(t.cell.magic, cell, POISON_FREE);
    napOffline(ctx, 0.2);
  }
  doing(thread, DOING_FREE, s);
  shrinkerFree(m, s);
  const inside = Atomics.load(t.cell.inside, cell);
  if (inside !== 0) ctx.fail(`shrinkerFree of row ${s} returned, and ${inside} callbacks run`);
  Atomics.store(t.cell.magic, cell, POISON_FREE);
  Atomics.store(t.cell.state, cell, CELL_FREE);
  const left = dropObjects(t, cell);
  const added = Atomics.load(t.cell.added, cell);
  const freed = Atomics.load(t.cell.freed, cell);
  if (((added - freed - left) | 0) !== 0) {
    ctx.fail(`row ${s}: ${added} objects were added, ${freed} freed, ${left} are left`);
  }
  tally.freed++;
}

// ---- Adders: who uses the caches.

/** Objects for a cell, in any group. @context the cell is used, or the caller's own */
function addTo(thread: ShrinkerThread, cell: number): void {
  const { t, ctx } = thread;
  const kind = Atomics.load(t.cell.kind, cell);
  const group = (kind & KIND_AWARE) !== 0 ? ctx.prng.below(thread.groups) : 0;
  if (!memcgTryGet(thread.m, group)) return;
  const nid = (kind & KIND_NUMA) !== 0 ? ctx.prng.below(NODES) : 0;
  const nr = 1 + ctx.prng.below(200);
  Atomics.add(t.cell.added, cell, nr);
  addObjects(thread, cell, group, nid, nr);
  memcgPut(thread.m, group);
}

export function adderBody(thread: ShrinkerThread): Tally {
  const { t, ctx } = thread;
  let added = 0;
  while (turnOf(thread)) {
    for (let i = 0; i < 8; i++) {
      const cell = ctx.prng.below(thread.cells);
      if (!useCell(t, cell)) continue;
      addTo(thread, cell);
      unuseCell(t, cell);
      added++;
    }
    rcuQuiescent();
    if (ctx.rarely(32)) napOffline(ctx, ctx.prng.below(5) / 10);
  }
  return { added };
}
