// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of the sequence lock: writers exclude each other and change several words; a reader that
 * is told that its section was valid has seen them all from one moment.
 */
import {
  seqReadBegin,
  seqReadRetry,
  seqWriteLock,
  seqWriteTryLock,
  seqWriteUnlock,
} from '../../shared/seqlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { countsOf, statistics, type Tally, type TortureContext, type TortureType } from './job.ts';
import { declareLockTables, enterLockTables, type LockTables, WRITE_HELD } from './lock_tables.ts';

/** Words that a writer sets to one value, each on a line of its own. */
const NR_WORDS = 4;
const LOCK = 0;
const CLASS = 1;

function write(t: LockTables, ctx: TortureContext): boolean {
  if (ctx.rarely(8)) {
    if (!seqWriteTryLock(t.locks, LOCK, CLASS)) return false;
  } else seqWriteLock(t.locks, LOCK, CLASS);
  const other = Atomics.exchange(t.flags, WRITE_HELD, ctx.id);
  if (other !== 0) ctx.fail(`thread ${other} writes too`);
  const value = (Atomics.load(t.data, 0) + 1) | 0;
  for (let word = 0; word < NR_WORDS; word++) {
    Atomics.store(t.data, word * LINE_WORDS, value);
    if (word === 1) ctx.hold();
  }
  Atomics.store(t.flags, WRITE_HELD, 0);
  seqWriteUnlock(t.locks, LOCK, CLASS);
  return true;
}

function read(t: LockTables, ctx: TortureContext): number {
  const seen = new Int32Array(NR_WORDS);
  for (let retries = 0; ; retries++) {
    const seq = seqReadBegin(t.locks, LOCK, CLASS);
    for (let word = 0; word < NR_WORDS; word++) {
      seen[word] = Atomics.load(t.data, word * LINE_WORDS);
      if (word === 1) ctx.hold(1 << 16);
    }
    if (!ctx.busted && seqReadRetry(t.locks, LOCK, seq)) {
      if (ctx.stopped) return retries;
      continue;
    }
    if (seen.some((value) => value !== seen[0])) ctx.fail(`saw half a write: ${seen.join(' ')}`);
    return retries;
  }
}

function body(t: LockTables, ctx: TortureContext): Tally {
  enterLockTables(t, ctx, ctx.prng.below(2));
  let writes = 0;
  let reads = 0;
  let retries = 0;
  while (ctx.turn()) {
    if (ctx.role === 'writer') {
      if (write(t, ctx)) writes++;
      ctx.spin(ctx.prng.below(100));
    } else {
      retries += read(t, ctx);
      reads++;
    }
  }
  return { writes, reads, retries };
}

/** The sequence lock. */
export const SEQLOCK_TYPE: TortureType<LockTables> = {
  name: 'seqlock',
  busted: 'readers do not retry',
  roles: (threads) =>
    Array.from({ length: threads }, (_, at) => (at % 2 === 0 ? 'writer' : 'reader')),
  declare: declareLockTables,
  body,
  judge: (t, tallies) => {
    const writes = countsOf(tallies, 'writer', 'writes');
    const reads = countsOf(tallies, 'reader', 'reads');
    const total = writes.reduce((sum, one) => sum + one, 0) | 0;
    const failures = [];
    for (let word = 0; word < NR_WORDS; word++) {
      const value = Atomics.load(t.data, word * LINE_WORDS);
      if (value !== total) failures.push(`${total} writes, word ${word} says ${value}`);
    }
    const retries = countsOf(tallies, 'reader', 'retries');
    const lines = [statistics('Writes', writes, failures.length), statistics('Reads', reads, 0)];
    return { lines, failures, counts: { writes, reads, retries } };
  },
};
