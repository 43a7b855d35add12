// SPDX-License-Identifier: MIT
/**
 * Lock-order checking by class: a deadlock that could happen is reported the first time that both
 * orders have been seen, even if no run has ever deadlocked.
 *
 * Vocabulary. An *edge* a -> b says: some thread held a lock of class a when it asked, and was
 * ready to wait, for one of class b. A *chain* is what a thread held when it drew an edge, oldest
 * first, with the lock asked for at the end. Edges form a directed graph, kept in the arena; a new
 * edge that closes a cycle is an inversion. The report names this thread's chain and, for each edge
 * of the way back, the chain and the thread that drew it.
 *
 * A try operation cannot wait, so it draws no edge to its lock, but edges go from it to what is
 * asked for next. Two locks of one class may not nest: give the inner one a class of its own.
 * Class 0 (unclassed) has no edges. Also reported: asking for a lock that this very thread holds,
 * and a sleep, by a sleeping lock or by a wait, under a spinlock or inside an RCU reader.
 *
 * Where the classes are ordered, outer to inner, an edge that goes back is an inversion by itself:
 * the other half of the cycle need never have been seen.
 *
 * Read sides draw the same edges as write sides: readers of our rwsem do not nest, since one that
 * comes while a writer waits is kept out.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { bug } from './assert.ts';
import {
  HELD_CLASS_MASK,
  HELD_SPIN,
  heldAddress,
  heldAnySpin,
  heldDepth,
  heldHas,
  heldWhat,
} from './held_locks.ts';
import { lockClassName, threadLabel } from './lock_class.ts';
import { lockWordSlow, unlockWordSlow } from './lock_word.ts';
import { rcuReadHeld } from './rcu_state.ts';
import { self } from './thread.ts';

/** Classes of a recorded chain; longer ones keep their newest. */
const CHAIN_MAX = 16;

const EDGE_COLUMNS = {
  seen: 'i32', // @atomic 0, or thread id + 1 of who drew the edge; row = from * classes + to
  chainLength: 'i32', // @guardedBy record  @racy readers of `seen` find it complete
} as const;

export interface LockdepTable extends Columns<typeof EDGE_COLUMNS> {
  readonly chain: Columns<{ chain: 'u8' }>['chain']; // @guardedBy record
  readonly record: Columns<{ record: 'i32' }>['record']; // @atomic lock word: one edge at a time
  /** Classes in the graph; 0 when order checking is off. */
  readonly classes: number;
  /** Ids are the order: an edge may only go to a larger one. */
  readonly ordered: boolean;
}

/**
 * @param classes lock classes of the domain, 0 to have no table
 * @param ordered their ids are their order, outer to inner
 */
export function declareLockdep(
  builder: ArenaBuilder,
  classes: number,
  ordered: boolean,
): LockdepTable {
  const edges = classes * classes;
  return {
    ...builder.columns('lockdep.edge', EDGE_COLUMNS, edges),
    ...builder.columns(
      'lockdep.chain',
      { chain: 'u8' /* @guardedBy record: classes, oldest first */ },
      edges * CHAIN_MAX,
    ),
    ...builder.columns(
      'lockdep',
      { record: 'i32' /* @atomic lock word of who draws an edge */ },
      classes === 0 ? 0 : 1,
    ),
    classes,
    ordered,
  };
}

let graph: LockdepTable | null = null;

/** @context once per worker, before its first lock; `null` ends it */
export function enterLockdep(table: LockdepTable | null): void {
  graph = table;
}

/**
 * Checks an acquisition that may block, before it does.
 * @param at the lock's address @param cls its class @param bits HELD_* of the acquisition
 * @throws BugError naming both chains of an inversion, or the rule that is broken
 * @context a thread of the domain, before it takes the lock
 */
export function lockdepAcquire(at: number, cls: number, bits: number): void {
  if ((bits & HELD_SPIN) === 0) lockdepMightSleep(lockClassName(cls));
  const nr = heldDepth();
  for (let i = 0; i < nr; i++) {
    const from = heldWhat(i) & HELD_CLASS_MASK;
    if (from === cls) {
      if (heldAddress(i) === at) bugRecursive(cls);
      if (cls !== 0) bugSameClass(cls);
    } else if (from !== 0 && cls !== 0) {
      const table = graph as LockdepTable;
      if (Atomics.load(table.seen, from * table.classes + cls) === 0) drawEdge(table, from, cls);
    }
  }
}

/**
 * Checks that this thread may sleep.
 * @param what what it is about to wait for
 * @throws BugError under a spinlock or inside an RCU reader
 */
export function lockdepMightSleep(what: string): void {
  if (heldAnySpin()) {
    bug(`${threadLabel(self.id)} may sleep (${what}) under a spinlock, holding ${ownChain()}`);
  }
  if (rcuReadHeld()) bug(`${threadLabel(self.id)} may sleep (${what}) inside an RCU reader`);
}

function bugRecursive(cls: number): never {
  return bug(
    `possible recursive locking: ${threadLabel(self.id)} asks for ${lockClassName(cls)} ` +
      `that it holds already; chain: ${ownChain(cls)}`,
  );
}

function bugSameClass(cls: number): never {
  return bug(
    `possible recursive locking: ${threadLabel(self.id)} asks for a second lock of class ` +
      `${lockClassName(cls)}, without a class of its own for the inner one; ` +
      `chain: ${ownChain(cls)}`,
  );
}

/** This thread's held classes, oldest first, with `cls` at the end. */
function ownChain(cls = -1): string {
  const chain: number[] = [];
  for (let i = 0; i < heldDepth(); i++) chain.push(heldWhat(i) & HELD_CLASS_MASK);
  if (cls >= 0) chain.push(cls);
  return chain.map(lockClassName).join(' -> ');
}

function drawEdge(table: LockdepTable, from: number, to: number): void {
  if (Atomics.compareExchange(table.record, 0, 0, self.id) !== 0) {
    lockWordSlow(table.record, 0, 0, false, Infinity);
  }
  let report = '';
  const edge = from * table.classes + to;
  if (Atomics.load(table.seen, edge) === 0) {
    const path = pathBetween(table, to, from);
    if (path === null && table.ordered && to < from) report = againstOrder(from, to);
    else if (path === null) record(table, edge, to);
    else report = inversion(table, from, to, path);
  }
  const seen = Atomics.compareExchange(table.record, 0, self.id, 0);
  if (seen !== self.id) unlockWordSlow(table.record, 0, 0, seen);
  if (report !== '') bug(report);
}

function record(table: LockdepTable, edge: number, to: number): void {
  const nr = heldDepth();
  const first = Math.max(0, nr - (CHAIN_MAX - 1));
  let length = 0;
  for (let i = first; i < nr; i++) {
    table.chain[edge * CHAIN_MAX + length++] = heldWhat(i) & HELD_CLASS_MASK;
  }
  table.chain[edge * CHAIN_MAX + length++] = to;
  table.chainLength[edge] = length;
  Atomics.store(table.seen, edge, self.id + 1);
}

/** Breadth first: the classes of a shortest way over drawn edges, ends included, or null. */
function pathBetween(table: LockdepTable, start: number, goal: number): number[] | null {
  const cameFrom = new Int32Array(table.classes).fill(-1);
  const queue = [start];
  cameFrom[start] = start;
  for (let head = 0; head < queue.length; head++) {
    const at = queue[head] as number;
    if (at === goal) {
      const path = [goal];
      for (let step = goal; step !== start; ) {
        step = cameFrom[step] as number;
        path.unshift(step);
      }
      return path;
    }
    for (let next = 1; next < table.classes; next++) {
      if (cameFrom[next] !== -1 || Atomics.load(table.seen, at * table.classes + next) === 0) {
        continue;
      }
      cameFrom[next] = at;
      queue.push(next);
    }
  }
  return null;
}

function againstOrder(from: number, to: number): string {
  return [
    'lock taken against the declared order',
    `${threadLabel(self.id)} asks for ${lockClassName(to)} while it holds ${lockClassName(from)}`,
    `  chain of ${threadLabel(self.id)}: ${ownChain(to)}`,
  ].join('\n');
}

function inversion(table: LockdepTable, from: number, to: number, path: number[]): string {
  const lines = [
    'possible circular locking dependency',
    `${threadLabel(self.id)} asks for ${lockClassName(to)} while it holds ${lockClassName(from)}`,
    `  chain of ${threadLabel(self.id)}: ${ownChain(to)}`,
    `but ${path.map(lockClassName).join(' -> ')} was seen before:`,
  ];
  for (let i = 0; i + 1 < path.length; i++) {
    const edge = (path[i] as number) * table.classes + (path[i + 1] as number);
    const chain: string[] = [];
    for (let c = 0; c < (table.chainLength[edge] as number); c++) {
      chain.push(lockClassName(table.chain[edge * CHAIN_MAX + c] as number));
    }
    const who = threadLabel(Atomics.load(table.seen, edge) - 1);
    lines.push(`  chain of ${who}: ${chain.join(' -> ')}`);
  }
  return lines.join('\n');
}

/**
 * First line of a function whose caller must hold the lock. Checks only while order checking is on;
 * `assertSpinHeld` and `assertMutexHeld` check always.
 * @throws BugError when this thread does not hold it
 */
export function assertHeld(at: number, cls: number): void {
  if (graph !== null && !heldHas(at, cls)) {
    bug(`${lockClassName(cls)} must be held by ${threadLabel(self.id)}, which holds ${ownChain()}`);
  }
}

/** As `assertHeld`, for a lock that must not be held, because the function takes it or waits. */
export function assertNotHeld(at: number, cls: number): void {
  if (graph !== null && heldHas(at, cls)) {
    bug(`${lockClassName(cls)} must not be held by ${threadLabel(self.id)}: ${ownChain()}`);
  }
}

/** For the end of a thread, or of a pass of a daemon. @throws BugError when it holds any lock */
export function assertNoLocksHeld(): void {
  if (graph !== null && heldDepth() > 0) {
    bug(`${threadLabel(self.id)} must hold no lock here, it holds ${ownChain()}`);
  }
}

/** @returns every edge drawn so far as [from, to] class ids, for docs and tests */
export function lockdepEdges(table: LockdepTable): [number, number][] {
  const edges: [number, number][] = [];
  for (let edge = 0; edge < table.classes * table.classes; edge++) {
    if (Atomics.load(table.seen, edge) !== 0) {
      edges.push([Math.floor(edge / table.classes), edge % table.classes]);
    }
  }
  return edges;
}
