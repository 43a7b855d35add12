// SPDX-License-Identifier: GPL-2.0-only
/**
 * What must hold when nothing is in flight: references, the list of the registered, ids, objects,
 * bits, infos, put-off work. The keeper looks, at rest, and at the end.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { rcuBarrier, rcuGpPass, rcuGpWait } from '../../shared/rcu_callback.ts';
import { FULL_WALK } from '../mm/memcg_iter.ts';
import { MEMCG_FREE, MEMCG_ONLINE } from '../mm/mm_types.ts';
import { testShrinkerBit } from '../mm/shrinker_info.ts';
import {
  SHRINKER_DYING,
  SHRINKER_INFOS_USED,
  SHRINKER_LIVE,
  SHRINKER_NR_MAX,
  SHRINKER_REGISTERED,
  SHRINKER_UNIT_BITS,
} from '../mm/shrinker_types.ts';
import type { Tally } from './job.ts';
import { rcuTurn } from './rcu_tables.ts';
import { awaitEnd, quiesce, release } from './shrinker_barrier.ts';
import { isLive } from './shrinker_cells.ts';
import { checkGroups } from './shrinker_groups.ts';
import { checkLedgers, checkOwnerless, excused } from './shrinker_ledger.ts';
import { walkAll } from './shrinker_roles.ts';
import {
  CELL_SHOWN,
  CELLS,
  GROUPS,
  KIND_AWARE,
  NODES,
  napOffline,
  objectsAt,
  type ShrinkerThread,
  TIDE,
} from './shrinker_tables.ts';

/** What the keeper has seen. */
interface KeeperTally {
  barriers: number;
  lowered: number;
  idsMost: number;
  lostBits: number;
  ledgers: number;
  ownerless: number;
}

/** Time between two looks, in milliseconds: a broken variant's damage may be short-lived. */
const LOOK_MS = 120;
const LOOK_BUSTED_MS = 15;
/** Part of all cells that is to have a shrinker, in 1/256. */
const TIDES = [10, 40, 100, 180, 250, 256];

/** Runs the callbacks of all, and looks whenever it is time. */
export function keeperBody(thread: ShrinkerThread): Tally {
  const { m, ctx } = thread;
  const tally = { barriers: 0, lowered: 0, idsMost: 0, lostBits: 0, ledgers: 0, ownerless: 0 };
  const waitMs = ctx.busted ? LOOK_BUSTED_MS : LOOK_MS;
  let nextNs = ktimeNs() + waitMs * 1e6;
  while (rcuTurn(ctx)) {
    rcuGpWait(m.rcu, () => ctx.stopped, 2);
    rcuGpPass(m.rcu);
    // Rows and infos run out while nobody runs callbacks.
    if (ctx.rarely(32)) napOffline(ctx, ctx.prng.below(20));
    if (ktimeNs() < nextNs) continue;
    if (!quiesce(thread)) return { ...tally };
    inspect(thread, tally);
    change(thread, tally);
    release(thread);
    nextNs = ktimeNs() + ctx.prng.below(2 * waitMs) * 1e6;
  }
  // The last look is at what all have left.
  if (!ctx.failed && awaitEnd(thread)) inspect(thread, tally);
  return { ...tally };
}

/** Every check. @context at rest */
function inspect(thread: ShrinkerThread, tally: KeeperTally): void {
  rcuBarrier();
  tally.barriers++;
  checkRows(thread, tally);
  checkObjects(thread, tally);
  checkGroups(thread);
  checkInfos(thread);
  tally.ledgers += checkLedgers(thread);
  tally.ownerless += checkOwnerless(thread);
  checkStaleBits(thread);
}

/** The next stretch: another tide, and infos that have to grow again. @context at rest */
function change(thread: ShrinkerThread, tally: KeeperTally): void {
  const { t, m, ctx } = thread;
  Atomics.store(t.words, TIDE, TIDES[ctx.prng.below(TIDES.length)] as number);
  let most = 0;
  for (const [id, s] of m.shrinker.idr.entries()) if (s !== 0) most = id + 1;
  tally.idsMost = Math.max(tally.idsMost, most);
  const units = Math.max(1, Math.ceil(most / SHRINKER_UNIT_BITS));
  // Groups made from here on have shorter infos, which grow again when ids do.
  if (units * SHRINKER_UNIT_BITS >= (m.shrinker.words[SHRINKER_NR_MAX] as number)) return;
  Atomics.store(m.shrinker.words, SHRINKER_NR_MAX, units * SHRINKER_UNIT_BITS);
  tally.lowered++;
}

/** Rows, references, the list, ids: all as the cells have it. */
function checkRows(thread: ShrinkerThread, tally: KeeperTally): void {
  const { t, m, ctx } = thread;
  const { flags, refcount, done, next, prev, arg, id, idr, words } = m.shrinker;
  let [live, shown] = [0, 0];
  for (let cell = 0; cell < CELLS; cell++) {
    const state = Atomics.load(t.cell.state, cell);
    if (isLive(state)) live++;
    if (state === CELL_SHOWN) shown++;
    const inside = Atomics.load(t.cell.inside, cell);
    if (inside !== 0) ctx.fail(`at rest, ${inside} callbacks of cell ${cell} run`);
  }
  let listed = 0;
  for (let s = next[0] as number, before = 0; s !== 0; before = s, s = next[s] as number) {
    if (++listed > shown) break;
    const seen = Atomics.load(flags, s);
    const cell = arg[s] as number;
    const refs = Atomics.load(refcount, s);
    if ((seen & (SHRINKER_REGISTERED | SHRINKER_DYING)) !== SHRINKER_REGISTERED) {
      ctx.fail(`row ${s} is listed with flags ${seen}`);
    }
    if (refs !== 1) ctx.fail(`row ${s} is registered, at rest, with ${refs} references`);
    if (Atomics.load(done, s) !== 0) ctx.fail(`row ${s} is registered, and completed`);
    if (prev[s] !== before) ctx.fail(`row ${s} is listed behind ${before}, not ${prev[s]}`);
    if (Atomics.load(t.cell.shrinker, cell) !== s) ctx.fail(`row ${s} is listed, and freed`);
  }
  if (listed !== shown) ctx.fail(`${listed} rows are listed, ${shown} are registered`);
  const counted = Atomics.load(words, SHRINKER_LIVE);
  if (counted !== live) ctx.fail(`${live} shrinkers are there, ${counted} are counted`);
  for (const [at, s] of idr.entries()) {
    if (s !== 0 && id[s] !== at) ctx.fail(`id ${at} leads to row ${s}, whose id is ${id[s]}`);
  }
  tally.idsMost = Math.max(tally.idsMost, idr.findLastIndex((s) => s !== 0) + 1);
}

/** Objects are conserved, are where groups are, and have their bit. */
function checkObjects(thread: ShrinkerThread, tally: KeeperTally): void {
  const { t, ctx } = thread;
  for (let cell = 0; cell < CELLS; cell++) {
    if (!isLive(Atomics.load(t.cell.state, cell))) continue;
    const s = Atomics.load(t.cell.shrinker, cell);
    let left = 0;
    for (let group = 0; group < GROUPS; group++) {
      for (let nid = 0; nid < NODES; nid++) {
        const objects = Atomics.load(t.objects, objectsAt(cell, group, nid));
        left = (left + objects) | 0;
        if (objects > 0) checkBit(thread, cell, group, nid, tally);
      }
    }
    const added = Atomics.load(t.cell.added, cell);
    const freed = Atomics.load(t.cell.freed, cell);
    if (((added - freed - left) | 0) === 0) continue;
    ctx.fail(`row ${s}: ${added} objects were added, ${freed} freed, ${left} are there`);
    return;
  }
}

function checkBit(
  thread: ShrinkerThread,
  cell: number,
  group: number,
  nid: number,
  tally: KeeperTally,
): void {
  const { t, m, ctx } = thread;
  const s = Atomics.load(t.cell.shrinker, cell);
  const state = Atomics.load(m.memcg.state, group);
  if (state !== MEMCG_ONLINE) ctx.fail(`row ${s} has objects in group ${group}, not online`);
  if (group === 0 || (Atomics.load(t.cell.kind, cell) & KIND_AWARE) === 0) return;
  const id = Atomics.load(t.cell.id, cell);
  if (testShrinkerBit(m, group, nid, id)) return;
  tally.lostBits++;
  if (excused(thread, 'early-clear', 'stale-clear')) return;
  ctx.fail(`lost bit: row ${s}, id ${id}, has objects in group ${group} on node ${nid}`);
}

/** An info for each group and node, no more; what the free list of infos has is not counted. */
function checkInfos({ m, ctx }: ShrinkerThread): void {
  let used = 0;
  for (let lruvec = NODES; lruvec < GROUPS * NODES; lruvec++) {
    const info = Atomics.load(m.lruvec.shrinkerInfo, lruvec);
    const free = Atomics.load(m.memcg.state, Math.floor(lruvec / NODES)) === MEMCG_FREE;
    if (info !== 0) used++;
    if (free !== (info === 0))
      ctx.fail(`lruvec ${lruvec}: info ${info} in a group's state ${free}`);
  }
  const counted = m.shrinker.words[SHRINKER_INFOS_USED] as number;
  if (counted !== used) ctx.fail(`groups have ${used} infos, ${counted} are in use`);
}

/** One walk clears the bits of ids without an owner; none comes back. */
function checkStaleBits(thread: ShrinkerThread): void {
  const { m, ctx } = thread;
  thread.calm = true;
  for (let nid = 0; nid < NODES; nid++) walkAll(thread, 0, nid, 12, FULL_WALK);
  thread.calm = false;
  for (const [id, s] of m.shrinker.idr.entries()) {
    if (s !== 0) continue;
    for (let lruvec = NODES; lruvec < GROUPS * NODES; lruvec++) {
      const group = Math.floor(lruvec / NODES);
      if (Atomics.load(m.memcg.state, group) !== MEMCG_ONLINE) continue;
      if (!testShrinkerBit(m, group, lruvec % NODES, id)) continue;
      ctx.fail(`id ${id} has no owner, and after a walk still a bit in group ${group}`);
      return;
    }
  }
}
