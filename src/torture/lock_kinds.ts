// SPDX-License-Identifier: GPL-2.0-only
/**
 * Locks behind one interface, so that one torture body serves all; and the broken variant of each.
 * `at` is the number of the lock, 0 .. NESTED_MAX; its class is `at + 1`.
 */
import {
  mutexLock,
  mutexLockTimeout,
  mutexTryLock,
  mutexUnlock,
} from '../../shared/atomics_mutex.ts';
import { bitLock, bitTryLock, bitUnlock } from '../../shared/bit_lock.ts';
import { mcsLock, mcsTryLock, mcsUnlock } from '../../shared/mcs_lock.ts';
import {
  rwsemDowngrade,
  rwsemDownRead,
  rwsemDownWrite,
  rwsemTryRead,
  rwsemTryWrite,
  rwsemUpRead,
  rwsemUpWrite,
} from '../../shared/rwsem.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import { self } from '../../shared/thread.ts';
import { ticketLock, ticketTryLock, ticketUnlock } from '../../shared/ticket_lock.ts';
import { BIT_LOCKED, LOCK_WORDS, type LockTables } from './lock_tables.ts';

/** What the torture needs of a lock. */
export interface LockKind {
  lock(t: LockTables, at: number): void;
  tryLock(t: LockTables, at: number): boolean;
  unlock(t: LockTables, at: number): void;
  /** Gives up after so long. @returns whether it has the lock */
  lockTimeout?(t: LockTables, at: number, ms: number): boolean;
  /** The holder becomes a reader without letting a writer in between. */
  downgrade?(t: LockTables, at: number): void;
  readLock?(t: LockTables, at: number): void;
  readTryLock?(t: LockTables, at: number): boolean;
  readUnlock?(t: LockTables, at: number): void;
}

const base = (at: number): number => at * LOCK_WORDS;

export const SPIN: LockKind = {
  lock: (t, at) => spinLock(t.locks, base(at), at + 1),
  tryLock: (t, at) => spinTryLock(t.locks, base(at), at + 1),
  unlock: (t, at) => spinUnlock(t.locks, base(at), at + 1),
};

export const TICKET: LockKind = {
  lock: (t, at) => ticketLock(t.locks, base(at), at + 1),
  tryLock: (t, at) => ticketTryLock(t.locks, base(at), at + 1),
  unlock: (t, at) => ticketUnlock(t.locks, base(at), at + 1),
};

export const MCS: LockKind = {
  lock: (t, at) => mcsLock(t.locks, base(at), t.sync.mcsNodes, at + 1),
  tryLock: (t, at) => mcsTryLock(t.locks, base(at), at + 1),
  unlock: (t, at) => mcsUnlock(t.locks, base(at), t.sync.mcsNodes, at + 1),
};

export const MUTEX: LockKind = {
  lock: (t, at) => mutexLock(t.locks, base(at), at + 1),
  tryLock: (t, at) => mutexTryLock(t.locks, base(at), at + 1),
  unlock: (t, at) => mutexUnlock(t.locks, base(at), at + 1),
  lockTimeout: (t, at, ms) => mutexLockTimeout(t.locks, base(at), at + 1, ms),
};

export const RWSEM: LockKind = {
  lock: (t, at) => rwsemDownWrite(t.locks, base(at), at + 1),
  tryLock: (t, at) => rwsemTryWrite(t.locks, base(at), at + 1),
  unlock: (t, at) => rwsemUpWrite(t.locks, base(at), at + 1),
  downgrade: (t, at) => rwsemDowngrade(t.locks, base(at), at + 1),
  readLock: (t, at) => rwsemDownRead(t.locks, base(at), at + 1),
  readTryLock: (t, at) => rwsemTryRead(t.locks, base(at), at + 1),
  readUnlock: (t, at) => rwsemUpRead(t.locks, base(at), at + 1),
};

export const BIT: LockKind = {
  lock: (t, at) => bitLock(t.locks, base(at), BIT_LOCKED, t.bits, at + 1),
  tryLock: (t, at) => bitTryLock(t.locks, base(at), BIT_LOCKED, at + 1),
  unlock: (t, at) => bitUnlock(t.locks, base(at), BIT_LOCKED, t.bits, at + 1),
};

// ---- Broken variants: what people write, and must not.

const idle = new Int32Array(new SharedArrayBuffer(4));

let pauses = 0;

/**
 * A moment between two operations that should have been one; now and then the end of a time slice,
 * so that it shows on a machine with one core too.
 */
function pause(): void {
  if (++pauses % 16 === 0) Atomics.wait(idle, 0, 0, 0.02);
  else for (let i = 0; i < 30; i++) Atomics.load(idle, 0);
}

/** Looks, then takes: two may look at once. */
export const SPIN_BUSTED: LockKind = {
  lock: (t, at) => {
    while (!SPIN_BUSTED.tryLock(t, at)) Atomics.wait(t.locks, base(at), self.id, 0.01);
  },
  tryLock: (t, at) => {
    if (Atomics.load(t.locks, base(at)) !== 0) return false;
    pause();
    Atomics.store(t.locks, base(at), self.id);
    return true;
  },
  unlock: (t, at) => {
    Atomics.store(t.locks, base(at), 0);
    Atomics.notify(t.locks, base(at));
  },
};

/** Draws its ticket with a load and a store: two may draw the same. */
export const TICKET_BUSTED: LockKind = {
  lock: (t, at) => {
    const ticket = Atomics.load(t.locks, base(at));
    pause();
    Atomics.store(t.locks, base(at), ticket + 1);
    for (let turns = 0; Atomics.load(t.locks, base(at) + 1) < ticket && turns < 1e6; turns++);
  },
  tryLock: (t, at) => {
    TICKET_BUSTED.lock(t, at);
    return true;
  },
  unlock: (t, at) => {
    Atomics.add(t.locks, base(at) + 1, 1);
  },
};

/** Goes in after a while of trying, as if that had taken the lock. */
function impatient(kind: LockKind, tries: number): LockKind {
  const taken = new Set<number>();
  return {
    lock: (t, at) => {
      for (let turn = 0; turn < tries; turn++) {
        if (!kind.tryLock(t, at)) continue;
        taken.add(at);
        return;
      }
    },
    tryLock: (t, at) => {
      if (!kind.tryLock(t, at)) return false;
      taken.add(at);
      return true;
    },
    unlock: (t, at) => {
      if (taken.delete(at)) kind.unlock(t, at);
    },
  };
}

export const MCS_BUSTED = impatient(MCS, 200);
export const MUTEX_BUSTED = impatient(MUTEX, 20);

/** Writers take the side of the readers. */
export const RWSEM_BUSTED: LockKind = {
  lock: (t, at) => rwsemDownRead(t.locks, base(at), at + 1),
  tryLock: (t, at) => rwsemTryRead(t.locks, base(at), at + 1),
  unlock: (t, at) => rwsemUpRead(t.locks, base(at), at + 1),
  readLock: (t, at) => rwsemDownRead(t.locks, base(at), at + 1),
  readUnlock: (t, at) => rwsemUpRead(t.locks, base(at), at + 1),
};

/** Downgrades in two steps: a writer may come in between. */
export const DOWNGRADE_BUSTED: LockKind = {
  ...RWSEM,
  downgrade: (t, at) => {
    rwsemUpWrite(t.locks, base(at), at + 1);
    rwsemDownRead(t.locks, base(at), at + 1);
  },
};

/** Changes the word with plain loads and stores: bits of others are lost, and so is the lock. */
export const BIT_BUSTED: LockKind = {
  lock: (t, at) => {
    while (!BIT_BUSTED.tryLock(t, at)) Atomics.load(t.locks, base(at));
  },
  tryLock: (t, at) => {
    const word = Atomics.load(t.locks, base(at));
    if ((word & BIT_LOCKED) !== 0) return false;
    pause();
    Atomics.store(t.locks, base(at), word | BIT_LOCKED);
    return true;
  },
  unlock: (t, at) => {
    Atomics.and(t.locks, base(at), ~BIT_LOCKED);
  },
};
