// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of the structures that threads change together: the sparse table (writers under its lock,
 * lookups under RCU, nodes freed by callbacks), index lists under a lock, bitmaps by atomic bits.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import {
  BIT_NONE,
  bitmapWeight,
  bitmapWords,
  clearBit,
  findNextZeroBit,
  setBit,
  testAndClearBitAtomic,
  testAndSetBitAtomic,
  testBitAtomic,
} from '../../shared/bitmap.ts';
import {
  LIST_NONE,
  listAddTail,
  listCount,
  listDel,
  listEmpty,
  listFirst,
  listInit,
  listMove,
  listNodeInit,
  listOnList,
} from '../../shared/list.ts';
import {
  declareRcu,
  enterRcu,
  leaveRcu,
  type RcuTable,
  rcuQuiescent,
  rcuReadLock,
  rcuReadUnlock,
} from '../../shared/rcu.ts';
import { callRcu, rcuBarrier, registerRcuCallback } from '../../shared/rcu_callback.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import {
  declareThreads,
  enterThread,
  setComm,
  THREAD_RUNNING,
  type ThreadTable,
} from '../../shared/thread.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import {
  declareXaPool,
  initXaPool,
  type XaPool,
  Xarray,
  xaFreeNode,
  xaPoolUsed,
} from '../../shared/xarray.ts';
import {
  countsOf,
  type RoleTally,
  statistics,
  sumOf,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';
import { rcuTurn } from './rcu_tables.ts';

// ---- Sparse table

interface XaTables {
  readonly threads: ThreadTable;
  readonly rcu: RcuTable;
  readonly pool: XaPool;
  readonly heads: I32; // @atomic head word of the table
  readonly words: I32; // @atomic the lock
}

function declareXa(builder: ArenaBuilder): XaTables {
  const threads = declareThreads(builder);
  const rcu = declareRcu(builder, { queueEntries: 256 });
  const pool = declareXaPool(builder, 'torture.xa', 3000);
  // @atomic
  const { heads } = builder.columns('torture.heads', { heads: 'i32' }, LINE_WORDS);
  // @atomic
  const { words } = builder.columns('torture.words', { words: 'i32' }, 4 * LINE_WORDS);
  return { threads, rcu, pool, heads, words };
}

/** Always stored, and no writer's own: tables of one level, two and more have it. */
const KEPT = 0;
const SPREAD = [1, 64, 4096, 262144];
const FREE_NODE = 3;
let freeing: XaPool | null = null;

function onFreeNode(node: number): void {
  if (freeing !== null) xaFreeNode(freeing, node);
}

const valueAt = (index: number): number => index * 2 + 1;
const pick = (ctx: TortureContext): number => ctx.prng.below(80) * (SPREAD[ctx.prng.below(4)] ?? 1);

/** Indices belong to a writer each: what it stored is there until it erases it. */
function xaWriter(t: XaTables, ctx: TortureContext, xa: Xarray): Tally {
  let writes = 0;
  const own = new Set<number>();
  while (rcuTurn(ctx)) {
    const index = pick(ctx) * ctx.threads + ctx.id;
    if (!ctx.busted) spinLock(t.words, 0, 0);
    if (own.has(index)) {
      if (xa.load(index) !== valueAt(index)) ctx.fail(`entry ${index} is gone`);
      if (xa.erase(index) !== valueAt(index)) ctx.fail(`entry ${index} was not there to erase`);
      own.delete(index);
    } else if (own.size < 200 && xa.store(index, valueAt(index))) own.add(index);
    if (!ctx.busted) spinUnlock(t.words, 0, 0);
    writes++;
    rcuQuiescent();
    if (ctx.rarely(512)) rcuBarrier();
  }
  for (const index of own) {
    if (!ctx.busted) spinLock(t.words, 0, 0);
    if (xa.erase(index) !== valueAt(index)) ctx.fail(`entry ${index} is gone at the end`);
    if (!ctx.busted) spinUnlock(t.words, 0, 0);
  }
  rcuBarrier();
  return { writes };
}

function xaReader(ctx: TortureContext, xa: Xarray): Tally {
  let [reads, found] = [0, 0];
  while (rcuTurn(ctx)) {
    rcuReadLock();
    for (let i = 0; i < 32; i++) {
      const index = pick(ctx) * ctx.threads + 1 + ctx.prng.below(ctx.threads);
      const value = xa.load(index);
      if (value !== 0) found++;
      if (value !== 0 && value !== valueAt(index)) ctx.fail(`entry ${index} reads ${value}`);
    }
    if (xa.load(KEPT) !== valueAt(KEPT)) ctx.fail('an entry that is never erased was not found');
    if (xa.next(0) !== KEPT) ctx.fail('a search passed over an entry');
    rcuReadUnlock();
    rcuQuiescent();
    reads++;
  }
  return { reads, found };
}

function xaBody(t: XaTables, ctx: TortureContext): Tally {
  setComm(t.threads, ctx.id, `${ctx.role}${ctx.id}`);
  Atomics.store(t.threads.state, ctx.id, THREAD_RUNNING);
  enterThread(t.threads, ctx.id);
  enterRcu(t.rcu, ctx.id);
  registerRcuCallback(FREE_NODE, onFreeNode);
  freeing = t.pool;
  const xa = new Xarray(t.pool, t.heads, 0, (node) => callRcu(FREE_NODE, node));
  try {
    return ctx.role === 'writer' ? xaWriter(t, ctx, xa) : xaReader(ctx, xa);
  } finally {
    leaveRcu();
  }
}

function judgeXa(t: XaTables, tallies: readonly RoleTally[]): Verdict {
  const xa = new Xarray(t.pool, t.heads, 0);
  const failures: string[] = [];
  if (xa.erase(KEPT) !== valueAt(KEPT)) failures.push('the entry that is kept is gone');
  if (!xa.empty) failures.push('entries are left at the end');
  const used = xaPoolUsed(t.pool);
  if (used !== 0) failures.push(`${used} nodes are not back in the pool`);
  const writes = countsOf(tallies, 'writer', 'writes');
  const reads = countsOf(tallies, 'reader', 'reads');
  const lines = [statistics('Writes', writes, failures.length), statistics('Reads', reads, 0)];
  return { lines, failures, counts: { writes, reads, found: sumOf(tallies, 'found') } };
}

const XARRAY: TortureType<XaTables> = {
  name: 'xarray',
  busted: 'writers take no lock',
  threadsMin: 3,
  roles: (threads) =>
    Array.from({ length: threads }, (_, at) => (at % 3 === 2 ? 'reader' : 'writer')),
  declare: declareXa,
  init: (t) => {
    initXaPool(t.pool);
    new Xarray(t.pool, t.heads, 0).store(KEPT, valueAt(KEPT));
  },
  body: xaBody,
  judge: judgeXa,
};

// ---- Lists: nodes move between lists under a lock, and no list loses one.

const NODES = 64;
const LISTS = 4;
const HEADS_AT = NODES;

interface ListTables {
  readonly next: I32; // @guardedBy words[0]
  readonly prev: I32; // @guardedBy words[0]
  readonly words: I32; // @atomic the lock
}

function declareLists(builder: ArenaBuilder): ListTables {
  // @guardedBy words[0]
  const schema = { next: 'i32', prev: 'i32' } as const;
  const links = builder.columns('torture.list', schema, NODES + LISTS);
  // @atomic
  const { words } = builder.columns('torture.words', { words: 'i32' }, LINE_WORDS);
  return { ...links, words };
}

function countAll(t: ListTables): number {
  let nodes = 0;
  for (let list = 0; list < LISTS; list++) {
    nodes += listCount(t.next, t.prev, HEADS_AT + list, NODES + 1);
  }
  return nodes;
}

function listBody(t: ListTables, ctx: TortureContext): Tally {
  let moves = 0;
  while (ctx.turn()) {
    const node = ctx.prng.below(NODES);
    const to = HEADS_AT + ctx.prng.below(LISTS);
    if (!ctx.busted) spinLock(t.words, 0, 0);
    if (!listOnList(t.next, node)) ctx.fail(`node ${node} is on no list`);
    else if (ctx.rarely(2)) listMove(t.next, t.prev, node, to);
    else {
      listDel(t.next, t.prev, node);
      if (ctx.busted) ctx.gap();
      listAddTail(t.next, t.prev, node, to);
    }
    if (listEmpty(t.next, to) || listFirst(t.next, to) === LIST_NONE)
      ctx.fail('a full list is empty');
    if (ctx.rarely(64) && countAll(t) !== NODES) ctx.fail(`${countAll(t)} nodes of ${NODES}`);
    if (!ctx.busted) spinUnlock(t.words, 0, 0);
    moves++;
  }
  return { moves };
}

const LIST: TortureType<ListTables> = {
  name: 'list',
  busted: 'lists are changed without their lock',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareLists,
  init: (t) => {
    listNodeInit(t.next, t.prev, 0, NODES);
    for (let list = 0; list < LISTS; list++) listInit(t.next, t.prev, HEADS_AT + list);
    for (let node = 0; node < NODES; node++) listAddTail(t.next, t.prev, node, HEADS_AT);
  },
  body: listBody,
  judge: (t, tallies) => {
    const moves = countsOf(tallies, 'writer', 'moves');
    const nodes = countAll(t);
    const failures = nodes === NODES ? [] : [`${nodes} nodes of ${NODES} at the end`];
    return { lines: [statistics('Moves', moves, failures.length)], failures, counts: { moves } };
  },
};

// ---- Bitmaps: numbers are handed out by setting their bit.

const BITS = 100;

interface BitTables {
  readonly map: I32; // @atomic
  readonly owner: I32; // @atomic thread that has the number
}

function declareBits(builder: ArenaBuilder): BitTables {
  // @atomic
  const { map } = builder.columns('torture.map', { map: 'i32' }, bitmapWords(BITS));
  // @atomic
  const { owner } = builder.columns('torture.owner', { owner: 'i32' }, BITS);
  return { map, owner };
}

/** Looks, then sets, plainly: two get one number, and bits of the same word are lost. */
function brokenTake(t: BitTables, ctx: TortureContext, bit: number): boolean {
  if (testBitAtomic(t.map, 0, bit)) return true;
  ctx.gap();
  setBit(t.map, 0, bit);
  return false;
}

function bitBody(t: BitTables, ctx: TortureContext): Tally {
  const mine: number[] = [];
  let [taken, full] = [0, 0];
  const release = (bit: number): void => {
    if (Atomics.exchange(t.owner, bit, 0) !== ctx.id) ctx.fail(`number ${bit} has another owner`);
    if (ctx.busted) clearBit(t.map, 0, bit);
    else if (!testAndClearBitAtomic(t.map, 0, bit)) ctx.fail(`bit ${bit} was cleared by another`);
  };
  while (ctx.turn()) {
    const start = ctx.prng.below(BITS);
    const bit = findNextZeroBit(t.map, 0, BITS, start);
    if (bit === BIT_NONE || mine.length >= BITS / ctx.threads) {
      full++;
      for (const one of mine.splice(0)) release(one);
      continue;
    }
    if (ctx.busted ? brokenTake(t, ctx, bit) : testAndSetBitAtomic(t.map, 0, bit)) continue;
    const other = Atomics.exchange(t.owner, bit, ctx.id);
    if (other !== 0) ctx.fail(`number ${bit} is thread ${other}'s too`);
    mine.push(bit);
    taken++;
    if (ctx.rarely(4)) release(mine.shift() as number);
  }
  for (const one of mine) release(one);
  return { taken, full };
}

const BITMAP: TortureType<BitTables> = {
  name: 'bitmap',
  busted: 'a bit is set by a load and a store',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareBits,
  body: bitBody,
  judge: (t, tallies) => {
    const taken = countsOf(tallies, 'writer', 'taken');
    const left = bitmapWeight(t.map, 0, BITS);
    const failures = left === 0 ? [] : [`${left} bits are set at the end`];
    return { lines: [statistics('Taken', taken, failures.length)], failures, counts: { taken } };
  },
};

/** Structures that threads change together. */
export const TABLE_TYPES = [XARRAY, LIST, BITMAP];
