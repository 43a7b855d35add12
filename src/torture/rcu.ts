// SPDX-License-Identifier: GPL-2.0-only
/**
 * The group `rcu`: RCU and sleepable RCU by rcutorture's method (rcu_pipe.ts); callbacks, which
 * move the blocks along the pipeline themselves; rcuBarrier; and readers that stall.
 */
import {
  leaveRcu,
  rcuQuiescent,
  rcuReadLock,
  rcuReadUnlock,
  synchronizeRcu,
} from '../../shared/rcu.ts';
import {
  callRcu,
  rcuBarrier,
  rcuGpPass,
  rcuGpWait,
  registerRcuCallback,
} from '../../shared/rcu_callback.ts';
import { rcuStalls } from '../../shared/rcu_stall.ts';
import { RCU_WORK, setRcuStallMs } from '../../shared/rcu_table.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import {
  type RoleTally,
  sumOf,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';
import {
  ageBlock,
  type Flavour,
  judgePipe,
  pipeBody,
  pipeReader,
  publishBlock,
  RCU,
  RCU_BUSTED,
  SRCU,
  SRCU_BUSTED,
  takeBlock,
} from './rcu_pipe.ts';
import {
  declareRcuTorture,
  enterRcuTorture,
  QUEUED,
  RAN,
  type RcuTortureTables,
  rcuTurn,
  STALLED,
  WRITERS_DONE,
} from './rcu_tables.ts';

/** Block 0 is in sight from the start. */
function init(t: RcuTortureTables): void {
  Atomics.store(t.mbtest, 0, 1);
  Atomics.store(t.busy, 0, 1);
}

function pipeRoles(threads: number): string[] {
  const rest = Array.from({ length: threads - 3 }, (_, at) => (at % 3 === 2 ? 'fake' : 'reader'));
  return ['writer', 'reader', 'fake', ...rest];
}

function pipeType(name: string, real: Flavour, broken: Flavour, busted: string) {
  return {
    name,
    busted,
    threadsMin: 3,
    roles: pipeRoles,
    declare: declareRcuTorture,
    init,
    body: (t: RcuTortureTables, ctx: TortureContext) =>
      pipeBody(t, ctx, ctx.busted ? broken : real),
    judge: judgePipe,
  } satisfies TortureType<RcuTortureTables>;
}

// ---- callRcu: each block travels down the pipeline by callbacks that queue themselves again.

const AGE = 1;
let aging: { t: RcuTortureTables; freed: number } | null = null;

/** Callback ids are registered once in a worker: what they work on changes from job to job. */
function onAge(block: number): void {
  if (aging === null) return;
  Atomics.add(aging.t.words, RAN, 1);
  if (ageBlock(aging.t, block)) aging.freed++;
  else queueAge(aging.t, block, false);
}

function queueAge(t: RcuTortureTables, block: number, busted: boolean): void {
  Atomics.add(t.words, QUEUED, 1);
  if (busted) onAge(block);
  else callRcu(AGE, block);
}

function callWriter(t: RcuTortureTables, ctx: TortureContext): Tally {
  let [allocated, missed, barriers, barrierErrors] = [0, 0, 0, 0];
  while (rcuTurn(ctx)) {
    const block = takeBlock(t, ctx);
    if (block < 0) {
      missed++;
      synchronizeRcu();
      continue;
    }
    allocated++;
    queueAge(t, publishBlock(t, block), ctx.busted);
    rcuQuiescent();
    if (!ctx.rarely(64)) continue;
    const queued = Atomics.load(t.words, QUEUED);
    rcuBarrier();
    barriers++;
    // Callbacks that queue themselves again are ahead of the count, never behind it.
    if (((Atomics.load(t.words, RAN) - queued) | 0) < 0) barrierErrors++;
    if (barrierErrors > 0) ctx.fail('rcuBarrier returned before a callback had run');
  }
  rcuBarrier();
  Atomics.store(t.words, WRITERS_DONE, 1);
  wakeUp(t.rcu.queues, RCU_WORK, WAKE_ALL);
  return { allocated, missed, barriers, barrierErrors };
}

/** Runs everybody's callbacks, until the writer is through. */
function callRunner(t: RcuTortureTables, ctx: TortureContext): Tally {
  let passes = 0;
  const done = () => Atomics.load(t.words, WRITERS_DONE) !== 0;
  while (!done()) {
    rcuTurn(ctx);
    rcuGpWait(t.rcu, done, 100);
    if (rcuGpPass(t.rcu) > 0) passes++;
    if (ctx.stopped && ctx.busted) break;
  }
  return { passes };
}

function callBody(t: RcuTortureTables, ctx: TortureContext): Tally {
  registerRcuCallback(AGE, onAge);
  aging = { t, freed: 0 };
  enterRcuTorture(t, ctx);
  try {
    if (ctx.role === 'reader') return pipeReader(t, ctx, RCU);
    const tally = ctx.role === 'writer' ? callWriter(t, ctx) : callRunner(t, ctx);
    return { ...tally, freed: aging.freed };
  } finally {
    leaveRcu();
    aging = null;
  }
}

const CALL: TortureType<RcuTortureTables> = {
  name: 'call_rcu',
  busted: 'callbacks run at once, without a grace period',
  threadsMin: 3,
  roles: (threads) => ['writer', 'runner', ...new Array<string>(threads - 2).fill('reader')],
  declare: declareRcuTorture,
  init,
  body: callBody,
  judge: judgePipe,
};

// ---- rcuBarrier: all that was queued before it has run when it returns.

const COUNT = 2;
let counting: RcuTortureTables | null = null;

function onCount(thread: number): void {
  if (counting !== null) Atomics.add(counting.words, RAN + thread, 1);
}

/** Every thread queues callbacks; the barrier is asked for one's own. */
function barrierBody(t: RcuTortureTables, ctx: TortureContext): Tally {
  registerRcuCallback(COUNT, onCount);
  counting = t;
  enterRcuTorture(t, ctx);
  let [queued, barriers, early] = [0, 0, 0];
  // Counts of all threads lie side by side: fewer threads than words of a line.
  const slot = ctx.id % LINE_WORDS;
  try {
    while (rcuTurn(ctx)) {
      for (let i = ctx.prng.below(48); i >= 0; i--, queued++) callRcu(COUNT, slot);
      if (!ctx.busted) rcuBarrier();
      barriers++;
      const ran = Atomics.load(t.words, RAN + slot);
      if (ran !== queued) early++;
      if (early > 0) ctx.fail(`rcuBarrier returned with ${queued - ran} callbacks to run`);
    }
    return { queued, barriers, early };
  } finally {
    rcuBarrier();
    leaveRcu();
  }
}

function judgeBarrier(t: RcuTortureTables, tallies: readonly RoleTally[]): Verdict {
  const queued = sumOf(tallies, 'queued');
  const barriers = sumOf(tallies, 'barriers');
  const early = sumOf(tallies, 'early');
  let ran = 0;
  for (let slot = 0; slot < LINE_WORDS; slot++) ran += Atomics.load(t.words, RAN + slot);
  const failures = early > 0 ? [`${early} barriers returned early`] : [];
  if (ran !== queued) failures.push(`${queued} callbacks queued, ${ran} ran`);
  const bang = failures.length > 0 ? ' !!!' : '';
  const line = `n_barrier: ${barriers} callbacks: ${queued} ran: ${ran} rtbe: ${early}${bang}`;
  return { lines: [line], failures, counts: { queued, ran, barriers, early } };
}

const BARRIER: TortureType<RcuTortureTables> = {
  name: 'rcu_barrier',
  busted: 'the barrier is left out',
  roles: (threads) => new Array<string>(threads).fill('writer'),
  declare: declareRcuTorture,
  body: barrierBody,
  judge: judgeBarrier,
};

// ---- Stalls: a reader that stays too long is named, and waited for.

const STALL_MS = 10;
const STALL_READER_MS = 40;

/** Each of its stalls has a number, which stands in STALLED while it lasts. */
function stallReader(t: RcuTortureTables, ctx: TortureContext): Tally {
  let stalls = 0;
  while (rcuTurn(ctx)) {
    rcuReadLock();
    if (ctx.busted) Atomics.store(t.rcu.seen, ctx.id * LINE_WORDS, 0);
    Atomics.store(t.words, STALLED, stalls + 1);
    ctx.nap(STALL_READER_MS);
    Atomics.store(t.words, STALLED, 0);
    rcuReadUnlock();
    rcuQuiescent();
    stalls++;
    ctx.nap(1 + ctx.prng.below(10));
  }
  return { stalls };
}

function stallWriter(t: RcuTortureTables, ctx: TortureContext): Tally {
  let periods = 0;
  while (rcuTurn(ctx)) {
    const before = Atomics.load(t.words, STALLED);
    synchronizeRcu();
    periods++;
    // The section that was open when the grace period began must be over.
    if (before !== 0 && Atomics.load(t.words, STALLED) === before) {
      ctx.fail('a grace period ended around a reader that stalls');
    }
  }
  return { periods };
}

function stallBody(t: RcuTortureTables, ctx: TortureContext): Tally {
  enterRcuTorture(t, ctx);
  try {
    return ctx.role === 'reader' ? stallReader(t, ctx) : stallWriter(t, ctx);
  } finally {
    leaveRcu();
  }
}

function judgeStall(t: RcuTortureTables, tallies: readonly RoleTally[]): Verdict {
  const stalls = sumOf(tallies, 'stalls');
  const periods = sumOf(tallies, 'periods');
  const records = rcuStalls(t.rcu);
  const failures: string[] = [];
  if (stalls > 2 && records.length === 0) failures.push('no stall was reported');
  const line = `periods: ${periods} stalls made: ${stalls} reported: ${records.length} (last ones)`;
  return { lines: [line], failures, counts: { periods, stalls, reported: records.length } };
}

const STALL: TortureType<RcuTortureTables> = {
  name: 'rcu_stall',
  busted: 'the reader that stalls is not waited for',
  threadsMin: 2,
  roles: (threads) => ['reader', ...new Array<string>(threads - 1).fill('writer')],
  declare: declareRcuTorture,
  init: (t) => setRcuStallMs(t.rcu, STALL_MS),
  body: stallBody,
  judge: judgeStall,
};

/** Types of the group. */
export const types = [
  pipeType('rcu', RCU, RCU_BUSTED, 'a reader is flagged offline while it reads'),
  pipeType('srcu', SRCU, SRCU_BUSTED, 'a section is left as soon as it is entered'),
  CALL,
  BARRIER,
  STALL,
] as readonly TortureType[];
