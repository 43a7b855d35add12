// SPDX-License-Identifier: GPL-2.0-only
/**
 * locktorture's method, for every lock that excludes: a writer takes a random set of locks in a
 * fixed order, then the one that all fight for; says that it holds it, and looks whether somebody
 * else says so too; keeps two plain words equal, with a delay between them; holds briefly as a
 * rule, seldom long, and at times past the end of its time slice. A reader looks for writers, and
 * at the two words.
 */
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
import {
  BIT,
  BIT_BUSTED,
  DOWNGRADE_BUSTED,
  type LockKind,
  MCS,
  MCS_BUSTED,
  MUTEX,
  MUTEX_BUSTED,
  RWSEM,
  RWSEM_BUSTED,
  SPIN,
  SPIN_BUSTED,
  TICKET,
  TICKET_BUSTED,
} from './lock_kinds.ts';
import {
  declareLockTables,
  enterLockTables,
  LEFT,
  LOCK_WORDS,
  type LockTables,
  NESTED_MAX,
  READERS,
  RIGHT,
  WRITE_HELD,
} from './lock_tables.ts';

/** The lock that all fight for: the last in the order. */
const MAIN = NESTED_MAX;

class Excluder {
  readonly #t: LockTables;
  readonly #ctx: TortureContext;
  readonly #kind: LockKind;
  writes = 0;
  reads = 0;
  nested = 0;
  missed = 0;

  constructor(t: LockTables, ctx: TortureContext, kind: LockKind) {
    this.#t = t;
    this.#ctx = ctx;
    this.#kind = kind;
  }

  /** Random locks before the main one, in ascending order. */
  nest(): number[] {
    const { prng } = this.#ctx;
    if (this.#ctx.busted || prng.below(4) !== 0) return [];
    const mask = prng.below(1 << NESTED_MAX) & prng.below(1 << NESTED_MAX);
    const set = [];
    for (let at = 0; at < NESTED_MAX; at++) if ((mask & (1 << at)) !== 0) set.push(at);
    for (const at of set) this.#kind.lock(this.#t, at);
    this.nested += set.length;
    return set;
  }

  unnest(set: readonly number[]): void {
    for (const at of set.toReversed()) this.#kind.unlock(this.#t, at);
  }

  write(): void {
    const set = this.nest();
    if (this.#take()) {
      this.#writeSection();
      const { downgrade } = this.#kind;
      if (downgrade !== undefined && this.#ctx.rarely(4)) this.#asReader(downgrade);
      else {
        Atomics.store(this.#t.flags, WRITE_HELD, 0);
        this.#kind.unlock(this.#t, MAIN);
      }
    }
    this.unnest(set);
  }

  /** Takes the main lock, in one of the ways that there are. */
  #take(): boolean {
    const kind = this.#kind;
    const how = this.#ctx.prng.below(8);
    if (how === 0) {
      if (kind.tryLock(this.#t, MAIN)) return true;
      this.missed++;
      return false;
    }
    if (how === 1 && kind.lockTimeout !== undefined) {
      if (kind.lockTimeout(this.#t, MAIN, this.#ctx.prng.below(3))) return true;
      this.missed++;
      return false;
    }
    kind.lock(this.#t, MAIN);
    return true;
  }

  #writeSection(): void {
    const { flags, data } = this.#t;
    const ctx = this.#ctx;
    const other = Atomics.exchange(flags, WRITE_HELD, ctx.id);
    if (other !== 0) ctx.fail(`thread ${other} holds the lock too`);
    if (Atomics.load(flags, READERS) !== 0) ctx.fail('a reader is inside with a writer');
    const before = data[LEFT] as number;
    if (before !== data[RIGHT]) ctx.fail('the last holder left half of its work');
    data[LEFT] = before + 1;
    ctx.hold();
    data[RIGHT] = (data[RIGHT] as number) + 1;
    if (data[LEFT] !== before + 1) ctx.fail('somebody else wrote under the lock');
    if (Atomics.load(flags, WRITE_HELD) !== ctx.id) ctx.fail('the lock was taken meanwhile');
    this.writes++;
  }

  /** From writer to reader: what it wrote is still the last that was written. */
  #asReader(downgrade: NonNullable<LockKind['downgrade']>): void {
    const { flags, data } = this.#t;
    const written = data[LEFT];
    Atomics.add(flags, READERS, 1);
    Atomics.store(flags, WRITE_HELD, 0);
    downgrade(this.#t, MAIN);
    if (data[LEFT] !== written) this.#ctx.fail('a writer came in during a downgrade');
    Atomics.sub(flags, READERS, 1);
    this.#kind.readUnlock?.(this.#t, MAIN);
  }

  read(): void {
    const { flags, data } = this.#t;
    const ctx = this.#ctx;
    const kind = this.#kind;
    if (ctx.rarely(8) && kind.readTryLock !== undefined) {
      if (!kind.readTryLock(this.#t, MAIN)) {
        this.missed++;
        return;
      }
    } else kind.readLock?.(this.#t, MAIN);
    Atomics.add(flags, READERS, 1);
    const writer = Atomics.load(flags, WRITE_HELD);
    if (writer !== 0) ctx.fail(`writer ${writer} is inside with a reader`);
    const left = data[LEFT];
    ctx.hold();
    if (data[LEFT] !== left || data[RIGHT] !== left) ctx.fail('data changed under a reader');
    Atomics.sub(flags, READERS, 1);
    kind.readUnlock?.(this.#t, MAIN);
    this.reads++;
  }
}

function excludeBody(t: LockTables, ctx: TortureContext, kind: LockKind): Tally {
  enterLockTables(t, ctx, ctx.prng.below(2));
  const excluder = new Excluder(t, ctx, kind);
  while (ctx.turn()) {
    if (ctx.role === 'reader') excluder.read();
    else excluder.write();
  }
  const { writes, reads, nested, missed } = excluder;
  return { writes, reads, nested, missed };
}

function judgeExclusion(t: LockTables, tallies: readonly RoleTally[]): Verdict {
  const writes = countsOf(tallies, 'writer', 'writes');
  const reads = countsOf(tallies, 'reader', 'reads');
  const total = writes.reduce((sum, one) => sum + one, 0);
  const failures: string[] = [];
  const { data, locks, flags } = t;
  if (data[LEFT] !== (total | 0)) failures.push(`${total} writes, the data says ${data[LEFT]}`);
  if (data[RIGHT] !== (total | 0)) failures.push(`${total} writes, the data says ${data[RIGHT]}`);
  const held = [Atomics.load(flags, WRITE_HELD), Atomics.load(flags, READERS)];
  if (held.some((word) => word !== 0)) failures.push('held at the end');
  const left = Atomics.load(locks, MAIN * LOCK_WORDS) & 0xffff;
  if (left !== 0) failures.push('the lock word is not free at the end');
  const lines = [statistics('Writes', writes, failures.length)];
  if (reads.length > 0) lines.push(statistics('Reads', reads, 0));
  const [nested, missed] = [sumOf(tallies, 'nested'), sumOf(tallies, 'missed')];
  return { lines, failures, counts: { writes, reads, nested, missed } };
}

const writersOnly = (threads: number): string[] => new Array<string>(threads).fill('writer');

/** Half of the threads read, and at least one does. */
const halfReaders = (threads: number): string[] =>
  Array.from({ length: threads }, (_, at) => (at % 2 === 0 ? 'writer' : 'reader'));

function excluding(
  name: string,
  kind: LockKind,
  broken: LockKind,
  busted: string,
  roles = writersOnly,
): TortureType<LockTables> {
  return {
    name,
    busted,
    roles,
    declare: declareLockTables,
    body: (t, ctx) => excludeBody(t, ctx, ctx.busted ? broken : kind),
    judge: judgeExclusion,
  };
}

/** Every lock that excludes. */
export const EXCLUSION_TYPES: readonly TortureType<LockTables>[] = [
  excluding('spinlock', SPIN, SPIN_BUSTED, 'test and set are two operations'),
  excluding('ticket', TICKET, TICKET_BUSTED, 'a ticket is drawn by a load and a store'),
  excluding('mcs', MCS, MCS_BUSTED, 'goes in when trying does not help'),
  excluding('mutex', MUTEX, MUTEX_BUSTED, 'goes in when trying does not help'),
  excluding('rwsem', RWSEM, RWSEM_BUSTED, 'writers take the side of readers', halfReaders),
  excluding(
    'rwsem_downgrade',
    RWSEM,
    DOWNGRADE_BUSTED,
    'downgrades by unlock and lock',
    writersOnly,
  ),
  excluding('bit_lock', BIT, BIT_BUSTED, 'sets the bit by a load and a store'),
];
