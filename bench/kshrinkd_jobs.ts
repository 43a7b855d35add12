// SPDX-License-Identifier: GPL-2.0-only
/** Jobs of the kshrinkd bench: one worker is the reclaimer that queues, and kshrinkd that takes. */
import { listAddTail, listPop } from '../shared/list.ts';
import { spinLock, spinUnlock } from '../shared/spinlock.ts';
import { enterSync } from '../shared/sync_domain.ts';
import { LINE_WORDS } from '../shared/types.ts';
import type { MmConfig } from '../src/mm/config.ts';
import {
  kshrinkdGone,
  kshrinkdHead,
  kshrinkdOpen,
  kshrinkdQueue,
  kshrinkdTake,
} from '../src/mm/kshrinkd.ts';
import { LC_KF } from '../src/mm/lock_order.ts';
import { attachMm, type Mm } from '../src/mm/mm.ts';
import type { MmBuffers } from '../src/mm/mm_buffers.ts';
import { rmqueue } from '../src/mm/page_alloc.ts';
import type { BenchJobs, BenchRun } from './bench_pool.ts';

/** What each pool is set up with. */
export interface KshrinkdBenchSetup {
  readonly buffers: MmBuffers;
  readonly config: MmConfig;
}

/** A turn of reclaim: folios queued, and taken, at once. */
const TURN = 32;
const FRAMES = 2048;

let m: Mm | null = null;
/** Frames that are on no list, as isolated folios are; the bench's own. */
const frames: number[] = [];

/** @context each worker, once */
export function setupBench(arg: unknown): void {
  const { buffers, config } = arg as KshrinkdBenchSetup;
  m = attachMm(buffers, config, 1, 0);
  enterSync(m.sync, 1);
  kshrinkdOpen(m, 0);
  while (frames.length < FRAMES) frames.push(rmqueue(m, 0, 0));
}

function machine(): Mm {
  if (m === null) throw new Error('kshrinkd bench: no machine');
  return m;
}

/** A turn's frames, in an order that memory has not. */
function nextTurn(folios: number[], turn: number): void {
  folios.length = 0;
  for (let i = 0; i < TURN; i++) {
    folios.push(frames[((turn * TURN + i) * 5) % FRAMES] as number);
  }
}

/** Queued, taken, and counted as gone. */
function prepareQueue(): BenchRun {
  const mm = machine();
  const folios: number[] = [];
  const batch: number[] = [];
  let turn = 0;
  return (ops) => {
    for (let done = 0; done < ops; done += TURN) {
      nextTurn(folios, turn++);
      const queued = kshrinkdQueue(mm, 0, folios, false);
      kshrinkdTake(mm, 0, batch, TURN);
      kshrinkdGone(mm, 0, TURN, 0);
      if (queued !== TURN || batch.length !== TURN) throw new Error('kshrinkd bench: lost folios');
    }
    return ops;
  };
}

/** The same lists under the same lock, and nothing else. */
function prepareList(): BenchRun {
  const mm = machine();
  const { next, prev } = mm.link;
  const head = kshrinkdHead(mm, 0);
  const folios: number[] = [];
  let turn = 0;
  return (ops) => {
    for (let done = 0; done < ops; done += TURN) {
      nextTurn(folios, turn++);
      spinLock(mm.kfLock, 0 * LINE_WORDS, LC_KF);
      for (let i = 0; i < TURN; i++) listAddTail(next, prev, folios[i] as number, head);
      spinUnlock(mm.kfLock, 0 * LINE_WORDS, LC_KF);
      spinLock(mm.kfLock, 0 * LINE_WORDS, LC_KF);
      for (let i = 0; i < TURN; i++) listPop(next, prev, head);
      spinUnlock(mm.kfLock, 0 * LINE_WORDS, LC_KF);
    }
    return ops;
  };
}

export const jobs: BenchJobs = { queue: prepareQueue, list: prepareList };
