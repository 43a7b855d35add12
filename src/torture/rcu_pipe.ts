// SPDX-License-Identifier: GPL-2.0-only
/**
 * rcutorture's method. A writer publishes a block and takes the one before out of sight; after each
 * grace period such a block moves one stage down a pipeline, and returns to the pool at its end. A
 * reader that found the block in sight may see it at stage 0 or 1 when it leaves its section: the
 * grace period that runs may have begun before it. Stage 2 means that one began and ended around a
 * reader: a failure. `mbtest` is set before a block is published and cleared when it leaves the
 * pipeline: a reader that finds it clear has a block that is not ready, or not any more.
 */
import {
  condSynchronizeRcu,
  getStateSynchronizeRcu,
  leaveRcu,
  pollStateSynchronizeRcu,
  rcuAssignPointer,
  rcuDereference,
  rcuOffline,
  rcuOnline,
  rcuQuiescent,
  rcuReadLock,
  rcuReadUnlock,
  synchronizeRcu,
} from '../../shared/rcu.ts';
import { RCU_COMPLETED } from '../../shared/rcu_state.ts';
import { SrcuDomain } from '../../shared/srcu.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { RoleTally, Tally, TortureContext, Verdict } from './job.ts';
import { sumOf } from './job.ts';
import {
  BLOCKS,
  CURRENT,
  enterRcuTorture,
  PIPE_LEN,
  type RcuTortureTables,
  rcuTurn,
  VERSION,
} from './rcu_tables.ts';

/** A read-side section and its grace period. */
export interface Flavour {
  enter(t: RcuTortureTables, ctx: TortureContext): number;
  leave(t: RcuTortureTables, ctx: TortureContext, side: number): void;
  synchronize(t: RcuTortureTables, ctx: TortureContext): void;
  /** Grace periods that have ended, where they are numbered. */
  completed?(t: RcuTortureTables): number;
}

/** Waits for a grace period in one of the ways that there are. */
function synchronizeSomehow(_t: RcuTortureTables, ctx: TortureContext): void {
  const how = ctx.prng.below(4);
  const cookie = getStateSynchronizeRcu();
  // Others may drive one: polling alone starts none.
  for (let polls = 0; how === 0 && polls < 20; polls++) {
    if (pollStateSynchronizeRcu(cookie)) return;
    rcuQuiescent();
    ctx.spin(20);
  }
  if (how === 1) condSynchronizeRcu(cookie);
  else synchronizeRcu();
}

export const RCU: Flavour = {
  enter: (_t, ctx) => {
    rcuReadLock();
    if (ctx.rarely(16)) {
      rcuReadLock();
      rcuReadUnlock();
    }
    return 0;
  },
  leave: () => rcuReadUnlock(),
  synchronize: synchronizeSomehow,
  completed: (t) => Atomics.load(t.rcu.words, RCU_COMPLETED),
};

/** Broken: the reader is flagged offline while it reads, so no grace period waits for it. */
export const RCU_BUSTED: Flavour = {
  ...RCU,
  enter: (t, ctx) => {
    rcuReadLock();
    Atomics.store(t.rcu.seen, ctx.id * LINE_WORDS, 0);
    return 0;
  },
};

let domain: SrcuDomain | null = null;
let domainOf: RcuTortureTables | null = null;

function srcuOf(t: RcuTortureTables): SrcuDomain {
  if (domain === null || domainOf !== t) domain = new SrcuDomain(t.srcu);
  domainOf = t;
  return domain;
}

export const SRCU: Flavour = {
  enter: (t) => srcuOf(t).readLock(),
  leave: (t, _ctx, side) => srcuOf(t).readUnlock(side),
  synchronize: (t) => srcuOf(t).synchronize(),
};

/** Broken: the section is left as soon as it is entered. */
export const SRCU_BUSTED: Flavour = {
  ...SRCU,
  enter: (t) => {
    srcuOf(t).readUnlock(srcuOf(t).readLock());
    return 0;
  },
  leave: () => {},
};

/** Reads blocks until the job ends; counts stages and grace periods of its sections. */
export function pipeReader(t: RcuTortureTables, ctx: TortureContext, flavour: Flavour): Tally {
  const pipe = new Array<number>(PIPE_LEN + 1).fill(0);
  const batch = new Array<number>(PIPE_LEN + 1).fill(0);
  let [reads, mbErrors] = [0, 0];
  while (rcuTurn(ctx)) {
    const side = flavour.enter(t, ctx);
    const before = flavour.completed?.(t) ?? 0;
    const block = rcuDereference(t.words, CURRENT);
    if (Atomics.load(t.mbtest, block) === 0) mbErrors++;
    readerDelay(ctx);
    const stage = Math.min(Atomics.load(t.pipe, block), PIPE_LEN);
    const ended = ((flavour.completed?.(t) ?? 0) - before) | 0;
    if (Atomics.load(t.mbtest, block) === 0) mbErrors++;
    flavour.leave(t, ctx, side);
    pipe[stage] = (pipe[stage] as number) + 1;
    const bin = Math.min(Math.max(ended, 0), PIPE_LEN);
    batch[bin] = (batch[bin] as number) + 1;
    if (stage > 1) ctx.fail(`a block is ${stage} grace periods old in a reader that found it`);
    if (ended > 1) ctx.fail(`${ended} grace periods ended around one reader`);
    if (mbErrors > 0) ctx.fail('a block was freed, or not ready, in a reader');
    reads++;
    rcuQuiescent();
    if (ctx.rarely(64)) sleepOffline(ctx);
  }
  return { reads, mbErrors, pipe, batch };
}

/** Mostly nothing; at times a sleep of several grace periods. */
function readerDelay(ctx: TortureContext): void {
  if (ctx.rarely(512)) ctx.nap(1 + ctx.prng.below(3));
  else if (ctx.rarely(32)) ctx.nap(0.05);
  else if (ctx.rarely(4)) ctx.spin(ctx.prng.below(300));
}

/** A thread that sleeps holds up no grace period. */
function sleepOffline(ctx: TortureContext): void {
  rcuOffline();
  ctx.nap(ctx.prng.below(10) / 10);
  rcuOnline();
}

/** Takes a block from the pool. @returns -1 when there is none */
export function takeBlock(t: RcuTortureTables, ctx: TortureContext): number {
  let block = ctx.prng.below(BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    if (Atomics.load(t.busy, block) === 0) {
      Atomics.store(t.busy, block, 1);
      return block;
    }
    block = (block + 1) % BLOCKS;
  }
  return -1;
}

/** Publishes a block. @returns the one that was in sight before */
export function publishBlock(t: RcuTortureTables, block: number): number {
  Atomics.store(t.pipe, block, 0);
  Atomics.store(t.mbtest, block, 1);
  const old = Atomics.load(t.words, CURRENT);
  rcuAssignPointer(t.words, CURRENT, block);
  Atomics.store(t.pipe, old, 1);
  Atomics.add(t.words, VERSION, 1);
  return old;
}

/** Moves a block one stage on. @returns true when it went back to the pool */
export function ageBlock(t: RcuTortureTables, block: number): boolean {
  const stage = Atomics.load(t.pipe, block) + 1;
  Atomics.store(t.pipe, block, stage);
  if (stage < PIPE_LEN) return false;
  Atomics.store(t.mbtest, block, 0);
  Atomics.store(t.busy, block, 0);
  return true;
}

/** Publishes blocks and waits for grace periods itself. */
export function pipeWriter(t: RcuTortureTables, ctx: TortureContext, flavour: Flavour): Tally {
  const retired: number[] = [];
  let [allocated, missed, freed, periods] = [0, 0, 0, 0];
  while (rcuTurn(ctx)) {
    const block = takeBlock(t, ctx);
    if (block < 0) missed++;
    else {
      allocated++;
      retired.push(publishBlock(t, block));
    }
    flavour.synchronize(t, ctx);
    periods++;
    for (let at = retired.length - 1; at >= 0; at--) {
      if (!ageBlock(t, retired[at] as number)) continue;
      retired.splice(at, 1);
      freed++;
    }
    rcuQuiescent();
    if (ctx.rarely(64)) sleepOffline(ctx);
  }
  return { allocated, missed, freed, periods };
}

/** rcutorture's fakewriters: they want grace periods and change nothing. */
export function pipeFakewriter(t: RcuTortureTables, ctx: TortureContext, flavour: Flavour): Tally {
  let periods = 0;
  while (rcuTurn(ctx)) {
    flavour.synchronize(t, ctx);
    periods++;
    sleepOffline(ctx);
  }
  return { periods };
}

/** Runs the role of a thread, and leaves the domain, whatever happens. */
export function pipeBody(t: RcuTortureTables, ctx: TortureContext, flavour: Flavour): Tally {
  enterRcuTorture(t, ctx);
  try {
    if (ctx.role === 'reader') return pipeReader(t, ctx, flavour);
    if (ctx.role === 'writer') return pipeWriter(t, ctx, flavour);
    return pipeFakewriter(t, ctx, flavour);
  } finally {
    leaveRcu();
  }
}

/** Histograms of all readers, bin by bin. */
function sumBins(tallies: readonly RoleTally[], name: string): number[] {
  const sum = new Array<number>(PIPE_LEN + 1).fill(0);
  for (const { tally } of tallies) {
    const bins = tally[name];
    if (typeof bins === 'number' || bins === undefined) continue;
    for (const [bin, count] of bins.entries()) sum[bin] = (sum[bin] as number) + count;
  }
  return sum;
}

/** rcutorture's lines: any count in a bin from 2 on is an error. */
export function judgePipe(t: RcuTortureTables, tallies: readonly RoleTally[]): Verdict {
  const pipe = sumBins(tallies, 'pipe');
  const batch = sumBins(tallies, 'batch');
  const circulation = new Array<number>(PIPE_LEN + 1).fill(0);
  for (let block = 0; block < BLOCKS; block++) {
    const stage = Atomics.load(t.busy, block) === 0 ? PIPE_LEN : Atomics.load(t.pipe, block);
    circulation[stage] = (circulation[stage] as number) + 1;
  }
  const late = pipe.slice(2).reduce((sum, one) => sum + one, 0);
  const [rta, rtaf, rtf] = ['allocated', 'missed', 'freed'].map((name) => sumOf(tallies, name));
  const [rtmbe, reads] = [sumOf(tallies, 'mbErrors'), sumOf(tallies, 'reads')];
  const failures: string[] = [];
  if (late > 0) failures.push(`${late} readers saw a block of 2 or more grace periods`);
  if ((rtmbe as number) > 0) failures.push(`${rtmbe} readers saw a block that is not ready`);
  const bang = failures.length > 0 ? ' !!!' : '';
  const version = Atomics.load(t.words, VERSION);
  const lines = [
    `ver: ${version} rta: ${rta} rtaf: ${rtaf} rtf: ${rtf} rtmbe: ${rtmbe} reads: ${reads}${bang}`,
    `Reader Pipe: ${pipe.join(' ')}${bang}`,
    `Reader Batch: ${batch.join(' ')}`,
    `Free-Block Circulation: ${circulation.join(' ')}`,
  ];
  const periods = sumOf(tallies, 'periods');
  return { lines, failures, counts: { pipe, batch, circulation, reads, periods, version } };
}
