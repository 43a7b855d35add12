// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of what threads wait with: semaphore, completion, wait queue. What is looked for is a
 * limit that is passed, a permit made or lost, and above all a wake-up lost: every wait has a bound
 * that is never reached unless one was.
 */
import { complete, completionTryWait, completionWaitTimeout } from '../../shared/completion.ts';
import {
  semaphoreCount,
  semaphoreDown,
  semaphoreDownTimeout,
  semaphoreInit,
  semaphoreTryDown,
  semaphoreUp,
} from '../../shared/semaphore.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import {
  WAKE_ALL,
  waitAgain,
  waitFinish,
  waitPrepare,
  waitSleep,
  wakeUp,
} from '../../shared/wait_queue.ts';
import {
  type RoleTally,
  statistics,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';
import {
  declareLockTables,
  enterLockTables,
  INSIDE,
  LOCK_WORDS,
  type LockTables,
} from './lock_tables.ts';

/** A wake-up that takes so long is lost. */
const LOST_MS = 2000;
/** The same where it is meant to be lost. */
const LOST_BUSTED_MS = 200;
const CLASS = 1;
const LIMIT = 2;

const lostMs = (ctx: TortureContext): number => (ctx.busted ? LOST_BUSTED_MS : LOST_MS);
const totals = (tallies: readonly RoleTally[], name: string): number[] =>
  tallies.map(({ tally }) => (tally[name] as number | undefined) ?? 0);

// ---- Semaphore

/** Takes a permit by a load and a store. */
function brokenDown(t: LockTables, ctx: TortureContext): boolean {
  const count = Atomics.load(t.locks, 0);
  if (count === 0) return false;
  ctx.gap();
  Atomics.store(t.locks, 0, count - 1);
  return true;
}

function down(t: LockTables, ctx: TortureContext): boolean {
  if (ctx.busted) return brokenDown(t, ctx);
  const how = ctx.prng.below(4);
  if (how === 0) return semaphoreTryDown(t.locks, 0);
  if (how === 1) return semaphoreDownTimeout(t.locks, 0, CLASS, ctx.prng.below(3));
  semaphoreDown(t.locks, 0, CLASS);
  return true;
}

function semaphoreBody(t: LockTables, ctx: TortureContext): Tally {
  enterLockTables(t, ctx, ctx.prng.below(2));
  let passes = 0;
  while (ctx.turn()) {
    if (!down(t, ctx)) continue;
    const inside = Atomics.add(t.flags, INSIDE, 1) + 1;
    if (inside > LIMIT) ctx.fail(`${inside} threads inside, ${LIMIT} may be`);
    ctx.hold();
    Atomics.sub(t.flags, INSIDE, 1);
    semaphoreUp(t.locks, 0);
    passes++;
  }
  return { passes };
}

const SEMAPHORE: TortureType<LockTables> = {
  name: 'semaphore',
  busted: 'a permit is taken by a load and a store',
  threadsMin: LIMIT + 1,
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareLockTables,
  init: (t) => semaphoreInit(t.locks, 0, LIMIT),
  body: semaphoreBody,
  judge: (t, tallies) => {
    const passes = totals(tallies, 'passes');
    const left = semaphoreCount(t.locks, 0);
    const failures = left === LIMIT ? [] : [`${left} permits at the end, ${LIMIT} at the start`];
    return { lines: [statistics('Passes', passes, failures.length)], failures, counts: { passes } };
  },
};

// ---- Completion: pairs that hand a turn to and fro, and tokens that are conserved.

/** Adds to the count of completions by a load and a store: one of two is lost. */
function brokenComplete(t: LockTables, ctx: TortureContext, index: number): void {
  const seen = Atomics.load(t.locks, index);
  ctx.gap();
  Atomics.store(t.locks, index, seen + 1);
  Atomics.notify(t.locks, index, 1);
}

/** Completions of the pairs follow the shared one. */
const pairAt = (thread: number): number => (1 + thread) * LINE_WORDS;
const PRODUCED = 4 * LINE_WORDS;
const CONSUMED = 5 * LINE_WORDS;

/** Every thread makes tokens and takes them: none may be taken that was not made. */
function tokens(t: LockTables, ctx: TortureContext): void {
  if (ctx.rarely(2)) {
    Atomics.add(t.flags, PRODUCED, 1);
    if (ctx.busted) brokenComplete(t, ctx, 0);
    else complete(t.locks, 0);
  } else if (completionTryWait(t.locks, 0)) {
    const consumed = Atomics.add(t.flags, CONSUMED, 1) + 1;
    const produced = Atomics.load(t.flags, PRODUCED);
    if (((produced - consumed) | 0) < 0) ctx.fail('a completion was taken twice');
  }
}

/** Each waits for the other: a completion that is lost stops both. */
function pingPong(t: LockTables, ctx: TortureContext): void {
  const me = ctx.id - 1;
  const other = me ^ 1;
  if (other >= ctx.threads) return;
  if (me < other) complete(t.locks, pairAt(other));
  if (!completionWaitTimeout(t.locks, pairAt(me), lostMs(ctx)) && !ctx.stopped) {
    ctx.fail('a completion was lost: its waiter timed out');
  }
  if (me > other) complete(t.locks, pairAt(other));
}

function completionBody(t: LockTables, ctx: TortureContext): Tally {
  enterLockTables(t, ctx, ctx.prng.below(2));
  let turns = 0;
  while (ctx.turn()) {
    for (let i = 0; i < 8; i++) tokens(t, ctx);
    pingPong(t, ctx);
    turns++;
  }
  // The partner may be one turn behind.
  if (((ctx.id - 1) ^ 1) < ctx.threads) complete(t.locks, pairAt((ctx.id - 1) ^ 1));
  return { turns };
}

const COMPLETION: TortureType<LockTables> = {
  name: 'completion',
  busted: 'a completion is added by a load and a store',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareLockTables,
  body: completionBody,
  judge: (t, tallies) => {
    const turns = totals(tallies, 'turns');
    const [made, taken] = [t.flags[PRODUCED] as number, t.flags[CONSUMED] as number];
    const left = Atomics.load(t.locks, 0);
    const failures: string[] = [];
    if (made - taken !== left) failures.push(`${made} made, ${taken} taken, ${left} left`);
    const lines = [statistics('Turns', turns, failures.length)];
    return { lines, failures, counts: { turns, made, taken } };
  },
};

// ---- Wait queue: one makes a condition true for all, who wait for it again and again.

const QUEUE = 0;
const DONE_QUEUE = LOCK_WORDS;
const GENERATION = 6 * LINE_WORDS;
const ARRIVED = 7 * LINE_WORDS;

/** Sleeps until the word is not `seen`. @returns false when a wake-up was lost */
function sleepUntil(
  t: LockTables,
  ctx: TortureContext,
  queue: number,
  condition: () => boolean,
): boolean {
  let seq = waitPrepare(t.locks, queue);
  try {
    while (!condition() && !ctx.stopped) {
      if (!waitSleep(t.locks, queue, seq, lostMs(ctx))) return condition() || ctx.stopped;
      seq = waitAgain(t.locks, queue);
    }
    return true;
  } finally {
    waitFinish(t.locks, queue);
  }
}

/** Tests before it joins the queue: the waker finds nobody, and does not wake. */
function brokenSleep(
  t: LockTables,
  ctx: TortureContext,
  queue: number,
  condition: () => boolean,
): boolean {
  if (condition()) return true;
  ctx.gap();
  const seq = waitPrepare(t.locks, queue);
  const woken = waitSleep(t.locks, queue, seq, lostMs(ctx));
  waitFinish(t.locks, queue);
  return woken || ctx.stopped || !condition();
}

function waitBody(t: LockTables, ctx: TortureContext): Tally {
  enterLockTables(t, ctx, ctx.prng.below(2));
  const waiters = ctx.threads - 1;
  let turns = 0;
  while (ctx.turn()) {
    const generation = Atomics.load(t.flags, GENERATION);
    const sleep = ctx.busted ? brokenSleep : sleepUntil;
    const go = () => Atomics.load(t.flags, GENERATION) !== generation;
    if (ctx.role === 'waiter') {
      if (Atomics.add(t.flags, ARRIVED, 1) === waiters - 1) wakeUp(t.locks, DONE_QUEUE);
      ctx.hold(1 << 16);
      if (!sleep(t, ctx, QUEUE, go)) ctx.fail('a waiter was not woken');
      if (ctx.busted) while (!go() && !ctx.stopped) ctx.nap(0.1);
    } else {
      const arrived = () => Atomics.load(t.flags, ARRIVED) === waiters;
      if (!sleepUntil(t, ctx, DONE_QUEUE, arrived)) ctx.fail('the waker was not woken');
      if (ctx.stopped) break;
      ctx.spin(ctx.prng.below(200));
      Atomics.store(t.flags, ARRIVED, 0);
      Atomics.add(t.flags, GENERATION, 1);
      wakeUp(t.locks, QUEUE, WAKE_ALL);
    }
    turns++;
  }
  wakeUp(t.locks, QUEUE, WAKE_ALL);
  wakeUp(t.locks, DONE_QUEUE, WAKE_ALL);
  return { turns };
}

function judgeWaiting(t: LockTables, tallies: readonly RoleTally[]): Verdict {
  const turns = totals(tallies, 'turns');
  const waiting = [QUEUE, DONE_QUEUE].map((queue) => Atomics.load(t.locks, queue + 1));
  const failures = waiting.some((nr) => nr !== 0) ? ['waiters are left in a queue'] : [];
  const lines = [statistics('Turns', turns, failures.length)];
  return { lines, failures, counts: { turns } };
}

const WAIT_QUEUE: TortureType<LockTables> = {
  name: 'wait_queue',
  busted: 'the condition is tested before the queue is joined',
  roles: (threads) => ['waker', ...new Array<string>(threads - 1).fill('waiter')],
  declare: declareLockTables,
  body: waitBody,
  judge: judgeWaiting,
};

/** What threads wait with. */
export const WAITING_TYPES = [SEMAPHORE, COMPLETION, WAIT_QUEUE];
