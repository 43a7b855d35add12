// SPDX-License-Identifier: GPL-2.0-only
/**
 * The arena of the shrinker torture: a whole machine's tables, small, and beside them what the
 * torture knows of its own: the private data of each shrinker ("cell"), the objects that it has,
 * and a ledger of the work that it has put off.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { enterRcu, leaveRcu, rcuOffline, rcuOnline, resetRcu } from '../../shared/rcu.ts';
import { enterSync } from '../../shared/sync_domain.ts';
import { setComm, THREAD_EXITED, THREAD_RUNNING } from '../../shared/thread.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import { resolveMachine } from '../config.ts';
import type { MmConfig, ShrinkerFlaw, ShrinkerPolicy } from '../mm/config.ts';
import { bindMmTables, declareMmTables, type Mm, type MmTables } from '../mm/mm.ts';
import { bindRcuCallbacks } from '../mm/rcu_ids.ts';
import type { TortureContext } from './job.ts';

/** Rows of groups, the root included; of shrinkers: ids pass 64 and 128; of nodes. */
export const GROUPS = 48;
export const SHRINKERS = 192;
export const NODES = 2;
/** Private data of shrinkers: fewer than rows, since freed rows wait for a grace period. */
export const CELLS = 176;
const NARROW_GROUPS = 5;
const NARROW_CELLS = 6;

/** What a cell's shrinker is. */
export const CELL_FREE = 0;
/** Has a row, and perhaps an id: objects may come, callbacks may not. */
export const CELL_MADE = 1;
/** Callbacks may come. */
export const CELL_SHOWN = 2;
/** Is being freed: no object comes any more, callbacks still do. */
export const CELL_CLOSING = 3;

/** Bits of `kind`. */
export const KIND_AWARE = 1;
export const KIND_NUMA = 2;
/** Puts work off at times, and keeps a ledger of it. Its objects are never freed. */
export const KIND_LEDGER = 4;

/** Words of `words`. */
export const BARRIER = 0; // @atomic odd: all are to come to rest
export const TIDE = LINE_WORDS; // @atomic shrinkers that churners aim for, of all cells, in 1/256
export const AT = 2 * LINE_WORDS; // @atomic per thread: barrier that it rests at, or LEFT
/** It has left. */
export const LEFT = -1;
const DOING = AT + LINE_WORDS * 64; // @atomic per thread: what it does, DOING_*, and to whom
/** Words that rest needs. */
export const REST_WORDS = DOING + LINE_WORDS * 64;

/** What a thread is at, for who waits for it: low bits what, the rest the row. */
export const DOING_TURN = 0;
export const DOING_ALLOC = 1;
export const DOING_REGISTER = 2;
export const DOING_FREE = 3;
export const DOING_WALK = 4;
export const DOING_GROUP = 5;
export const DOING_MOUNT = 6;
const DOING_NAMES = [
  'a turn',
  'shrinkerAlloc',
  'shrinkerRegister',
  'shrinkerFree',
  'a walk',
  'groups',
  'mounts',
];

const CELL_COLUMNS = {
  state: 'i32', // @atomic CELL_*
  users: 'i32', // @atomic threads that add objects to it
  shrinker: 'i32', // @atomic its row
  id: 'i32', // @atomic its id, -1 for none
  kind: 'i32', // @atomic KIND_* bits
  magic: 'i32', // @atomic generation while it may be used, poison when it may not
  inside: 'i32', // @atomic callbacks that run
  added: 'i32', // @atomic objects that came, mod 2^32
  freed: 'i32', // @atomic objects that callbacks freed, mod 2^32
} as const;

/** What a type of the group is made of. */
export interface ShrinkerShape {
  readonly policy: ShrinkerPolicy;
  readonly kmem: boolean;
  /** What the broken variant does. */
  readonly busted: Busted;
}

/**
 * What a broken variant does: one flaw of the core, or wrong use of it.
 *   poison  private data is given back before shrinkerFree has returned
 *   put     a callback drops the reference that its walk holds
 *   bit     the bit is set before the object is there
 */
export type Busted = ShrinkerFlaw | 'poison' | 'put' | 'bit';

const WRONG_USE: readonly Busted[] = ['poison', 'put', 'bit'];

/** A machine of two nodes, without swap, processes and page contents. */
export function machineConfig(memory: number): MmConfig {
  const nobody = { comm: 'nobody', cpus: [0], program: { module: '', export: '' } };
  const given = { contents: false, swap: 'none', nodes: NODES, memory } as const;
  const { mm } = resolveMachine(given, [{ ...nobody, vmas: [{ start: 4096, end: 4097 }] }]);
  return { ...mm, processes: [], lockdep: true };
}

/** The machine of a shape. */
export function shapeConfig(shape: ShrinkerShape, busted: boolean): MmConfig {
  const flawed = busted && !WRONG_USE.includes(shape.busted);
  return {
    ...machineConfig(16 << 20),
    memcgsMax: GROUPS,
    shrinkersMax: SHRINKERS,
    shrinker: shape.policy,
    kmem: shape.kmem,
    shrinkerFlaws: flawed ? [shape.busted as ShrinkerFlaw] : null,
  };
}

/** Declares the tables. Pure. */
export function declareShrinkerTorture(builder: ArenaBuilder, config: MmConfig) {
  // @atomic
  const schema = { words: 'i32' } as const;
  const words = (name: string, rows: number): I32 =>
    builder.columns(`torture.${name}`, schema, rows).words;
  return {
    mm: declareMmTables(builder, config) as MmTables,
    // @atomic words as above
    words: words('words', REST_WORDS),
    cell: builder.columns('torture.cell', CELL_COLUMNS, CELLS),
    // @atomic objects of a cell in a group on a node
    objects: words('objects', CELLS * GROUPS * NODES),
    // @atomic work put off less work done, of a cell on a node, mod 2^32
    ledger: words('ledger', CELLS * NODES),
  };
}

export type ShrinkerTables = ReturnType<typeof declareShrinkerTorture>;

/** What a torture on a machine's tables has, with words for rest. */
export interface RestTables {
  readonly mm: MmTables;
  readonly words: I32; // @atomic words as above
}

/** A thread that comes to rest with others. */
export interface RestThread {
  readonly t: RestTables;
  readonly m: Mm;
  readonly ctx: TortureContext;
}

/** What a thread of the torture works with. */
export interface ShrinkerThread extends RestThread {
  readonly t: ShrinkerTables;
  /** Null in the sound variant. */
  readonly busted: Busted | null;
  /** Groups and cells in use are below these: few where a race needs one id in all hands. */
  readonly groups: number;
  readonly cells: number;
  /** Priority of the walk that this thread is on. */
  priority: number;
  /** The same thread makes callbacks as plain as can be. */
  calm: boolean;
  readonly count: { walks: number; counts: number; scans: number; scanned: number; freed: number };
}

/**
 * The same tables, but who reaches for a bitmap is slow at times. Between the last look at an id
 * and the clearing of its bit is nothing else to slow down, and too little to be met otherwise.
 */
function dawdlingOverBits(shrinker: Mm['shrinker'], ctx: TortureContext): Mm['shrinker'] {
  const { unitMap } = shrinker;
  return {
    ...shrinker,
    get unitMap() {
      if (ctx.rarely(8)) ctx.nap(ctx.prng.below(5) / 10);
      return unitMap;
    },
  };
}

/** Makes the worker a thread of the machine. @returns the machine, as the thread sees it */
export function bindTorture(t: RestTables, ctx: TortureContext, config: MmConfig, cpu: number): Mm {
  // The kernel that finds the next shrinker and its twin, side by side: delays strike the twin.
  const accessKernel = ctx.prng.below(2) === 0 ? 'wasm' : 'ts';
  const m = bindMmTables(t.mm, ctx.memory, { ...config, accessKernel }, ctx.id, cpu);
  // Lock-order checking is part of what is tortured, for every other thread.
  const lockdep = !ctx.busted && ctx.prng.below(2) === 0;
  enterSync({ ...m.sync, options: { ...m.sync.options, lockdep } }, ctx.id);
  setComm(m.sync.threads, ctx.id, `${ctx.role}${ctx.id}`);
  Atomics.store(m.sync.threads.state, ctx.id, THREAD_RUNNING);
  enterRcu(m.rcu, ctx.id);
  bindRcuCallbacks(m);
  return m;
}

/** Makes the worker a thread of the shape's machine. */
export function enterShrinkerTorture(
  t: ShrinkerTables,
  ctx: TortureContext,
  shape: ShrinkerShape,
): ShrinkerThread {
  const bound = bindTorture(t, ctx, shapeConfig(shape, ctx.busted), -1);
  const slow = ctx.busted && shape.busted === 'stale-clear' && ctx.role === 'walker';
  const m = slow ? { ...bound, shrinker: dawdlingOverBits(bound.shrinker, ctx) } : bound;
  const count = { walks: 0, counts: 0, scans: 0, scanned: 0, freed: 0 };
  const busted = ctx.busted ? shape.busted : null;
  const narrow = busted === 'stale-clear';
  const sizes = { groups: narrow ? NARROW_GROUPS : GROUPS, cells: narrow ? NARROW_CELLS : CELLS };
  return { t, m, ctx, busted, ...sizes, priority: 0, calm: false, count };
}

/** Leaves the machine, in whatever state: who threw may be inside a reader. */
export function leaveTorture({ t, m, ctx }: RestThread, thrown: boolean): void {
  if (thrown) {
    Atomics.store(m.sync.threads.state, ctx.id, THREAD_EXITED);
    resetRcu();
  } else leaveRcu();
  Atomics.store(t.words, AT + ctx.id * LINE_WORDS, LEFT);
}

/** Says what this thread is about to do. */
export function doing({ t, ctx }: RestThread, what: number, row = 0): void {
  Atomics.store(t.words, DOING + ctx.id * LINE_WORDS, (row << 3) | what);
}

/** What a thread is at. @returns DOING_* and the row */
export function doingOf(t: RestTables, id: number): { what: number; row: number } {
  const word = Atomics.load(t.words, DOING + id * LINE_WORDS);
  return { what: word & 7, row: word >> 3 };
}

/** The same in words. */
export function doingText(t: RestTables, id: number): string {
  const { what, row } = doingOf(t, id);
  return row === 0 ? (DOING_NAMES[what] as string) : `${DOING_NAMES[what]} of row ${row}`;
}

/** Sleeps, and holds up no grace period. @context not inside an RCU reader */
export function napOffline(ctx: TortureContext, ms: number): void {
  rcuOffline();
  ctx.nap(ms);
  rcuOnline();
}

/** Index of the objects of a cell in a group on a node. */
export function objectsAt(cell: number, group: number, nid: number): number {
  return (cell * GROUPS + group) * NODES + nid;
}
