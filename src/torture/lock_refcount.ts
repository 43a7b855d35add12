// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of the reference count: objects that are published, found, used, withdrawn and freed. An
 * object that somebody uses must not be freed, and each is freed exactly once.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import {
  refcountDecAndTest,
  refcountFreeze,
  refcountIncNotZero,
  refcountRead,
  refcountSet,
  refcountUnfreeze,
} from '../../shared/refcount.ts';
import type { I32 } from '../../shared/types.ts';
import { countsOf, statistics, type Tally, type TortureContext, type TortureType } from './job.ts';
import { declareLockTables, enterLockTables, type LockTables } from './lock_tables.ts';

const OBJECTS = 64;
const NONE = -1;

interface RefcountTables extends LockTables {
  readonly refs: I32; // @atomic one count per object
  readonly alive: I32; // @atomic 1 from before its publication until its last reference goes
  readonly users: I32; // @atomic threads that say that they use it
  readonly published: I32; // @atomic the object that threads find
}

function declare(builder: ArenaBuilder): RefcountTables {
  const tables = declareLockTables(builder);
  // @atomic
  const objects = { refs: 'i32', alive: 'i32', users: 'i32' } as const;
  // @atomic
  const { published } = builder.columns('torture.published', { published: 'i32' }, 1);
  return { ...tables, ...builder.columns('torture.objects', objects, OBJECTS), published };
}

/** Drops a reference by a load and a store. */
function brokenPut(t: RefcountTables, ctx: TortureContext, object: number): boolean {
  const seen = Atomics.load(t.refs, object);
  ctx.gap();
  Atomics.store(t.refs, object, seen - 1);
  return seen === 1;
}

function put(t: RefcountTables, ctx: TortureContext, object: number): number {
  const last = ctx.busted ? brokenPut(t, ctx, object) : refcountDecAndTest(t.refs, object);
  if (!last) return 0;
  if (Atomics.load(t.users, object) !== 0) ctx.fail('an object in use was freed');
  if (Atomics.exchange(t.alive, object, 0) !== 1) ctx.fail('an object was freed twice');
  return 1;
}

function use(t: RefcountTables, ctx: TortureContext): number {
  const object = Atomics.load(t.published, 0);
  if (object === NONE || !refcountIncNotZero(t.refs, object)) return 0;
  Atomics.add(t.users, object, 1);
  if (Atomics.load(t.alive, object) !== 1) ctx.fail('an object with a reference is not alive');
  ctx.hold(1 << 14);
  if (Atomics.load(t.alive, object) !== 1) ctx.fail('an object was freed while it was used');
  Atomics.sub(t.users, object, 1);
  return put(t, ctx, object);
}

/** Freezes a count: from then on nobody else may use the object. */
function freeze(t: RefcountTables, ctx: TortureContext, object: number): number {
  if (!refcountFreeze(t.refs, object, 1)) return 0;
  if (Atomics.load(t.users, object) !== 0) ctx.fail('a frozen object has a user');
  ctx.hold(1 << 14);
  if (Atomics.load(t.users, object) !== 0) ctx.fail('a frozen object got a user');
  refcountUnfreeze(t.refs, object, 1);
  return 1;
}

function publish(t: RefcountTables, ctx: TortureContext): Tally {
  let [allocated, freed, frozen, full] = [0, 0, 0, 0];
  while (ctx.turn()) {
    let object = ctx.prng.below(OBJECTS);
    for (let i = 0; i < OBJECTS && Atomics.load(t.alive, object) !== 0; i++) {
      object = (object + 1) % OBJECTS;
    }
    if (Atomics.load(t.alive, object) !== 0) {
      full++;
      if (ctx.busted && full > 100) ctx.fail('objects are never freed');
      ctx.nap(0.1);
      continue;
    }
    Atomics.store(t.alive, object, 1);
    refcountSet(t.refs, object, 1);
    Atomics.store(t.published, 0, object);
    allocated++;
    ctx.hold(1 << 14);
    if (!ctx.busted) frozen += freeze(t, ctx, object);
    ctx.spin(ctx.prng.below(300));
    Atomics.store(t.published, 0, NONE);
    freed += put(t, ctx, object);
  }
  return { allocated, freed, frozen, full };
}

function body(t: RefcountTables, ctx: TortureContext): Tally {
  enterLockTables(t, ctx, 1);
  if (ctx.role === 'writer') return publish(t, ctx);
  let freed = 0;
  let uses = 0;
  while (ctx.turn()) {
    freed += use(t, ctx);
    uses++;
  }
  return { freed, uses };
}

/** The reference count. */
export const REFCOUNT_TYPE: TortureType<RefcountTables> = {
  name: 'refcount',
  busted: 'a reference is dropped by a load and a store',
  roles: (threads) => ['writer', ...new Array<string>(threads - 1).fill('reader')],
  declare,
  init: (t) => Atomics.store(t.published, 0, NONE),
  body,
  judge: (t, tallies) => {
    const allocated = countsOf(tallies, 'writer', 'allocated');
    const uses = countsOf(tallies, 'reader', 'uses');
    const freed = tallies.reduce((sum, { tally }) => sum + (tally.freed as number), 0);
    const made = allocated.reduce((sum, one) => sum + one, 0);
    const failures: string[] = [];
    if (made !== freed) failures.push(`${made} objects made, ${freed} freed`);
    for (let object = 0; object < OBJECTS; object++) {
      const refs = refcountRead(t.refs, object);
      if (refs !== 0) failures.push(`object ${object} has ${refs} references at the end`);
    }
    const lines = [statistics('Writes', allocated, failures.length), statistics('Reads', uses, 0)];
    return { lines, failures, counts: { allocated, uses, freed } };
  },
};
