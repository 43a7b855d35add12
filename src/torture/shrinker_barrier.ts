// SPDX-License-Identifier: GPL-2.0-only
/**
 * Rest: the keeper asks, every other thread comes to the end of its turn and stays, and nothing is
 * in flight while the keeper looks. A thread that does not come is named with what it is at.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { rcuOffline, rcuOnline } from '../../shared/rcu.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { rcuTurn } from './rcu_tables.ts';
import {
  AT,
  BARRIER,
  DOING_FREE,
  DOING_TURN,
  doing,
  doingOf,
  doingText,
  LEFT,
  type RestThread,
} from './shrinker_tables.ts';

/** shrinkerFree may take so long when no thread runs a callback any more. */
const FREE_MS = 5000;
/** And any thread to come to the end of its turn. A busy machine runs some for seconds not. */
const COME_MS = 15_000;
/** While the keeper looks, nobody makes a turn. */
export const REST_HANG_MS = 20_000;
const LOOK_MS = 1;

/** One turn: rests when the keeper asks, pauses when all pause. @returns false to stop */
export function turnOf(thread: RestThread): boolean {
  const { t, ctx } = thread;
  doing(thread, DOING_TURN);
  const seq = Atomics.load(t.words, BARRIER);
  if ((seq & 1) !== 0) rest(thread, seq);
  return rcuTurn(ctx);
}

/** Are all to rest? Long turns end early then. */
export function restsNow({ t }: RestThread): boolean {
  return (Atomics.load(t.words, BARRIER) & 1) !== 0;
}

function rest({ t, ctx }: RestThread, seq: number): void {
  rcuOffline();
  Atomics.store(t.words, AT + ctx.id * LINE_WORDS, seq);
  while (Atomics.load(t.words, BARRIER) === seq && !ctx.failed) {
    Atomics.wait(t.words, BARRIER, seq, 100);
  }
  rcuOnline();
}

/**
 * Brings all other threads to rest.
 * @returns false when one does not come, which is reported
 * @context the keeper; followed by release
 */
export function quiesce(thread: RestThread): boolean {
  return awaitAll(thread, Atomics.add(thread.t.words, BARRIER, 1) + 1);
}

/** Waits until all other threads have left. @returns as quiesce @context the keeper, at the end */
export function awaitEnd(thread: RestThread): boolean {
  return awaitAll(thread, LEFT);
}

function awaitAll(thread: RestThread, seq: number): boolean {
  const { t, ctx } = thread;
  const startNs = ktimeNs();
  for (;;) {
    const missing = awaited(thread, seq);
    if (missing.length === 0) return true;
    if (ctx.failed) return false;
    const ms = (ktimeNs() - startNs) / 1e6;
    const freeing = missing.every((id) => doingOf(t, id).what === DOING_FREE);
    if (ms > (freeing ? FREE_MS : COME_MS)) {
      report(thread, missing, ms, freeing);
      return false;
    }
    rcuOffline();
    ctx.nap(LOOK_MS);
    rcuOnline();
    // A sign of life: it is the keeper who knows what is missing.
    ctx.turn();
  }
}

function awaited({ t, ctx }: RestThread, seq: number): number[] {
  const missing: number[] = [];
  for (let id = 1; id <= ctx.threads; id++) {
    const at = Atomics.load(t.words, AT + id * LINE_WORDS);
    if (id !== ctx.id && at !== seq && at !== LEFT) missing.push(id);
  }
  return missing;
}

function report(thread: RestThread, missing: number[], ms: number, freeing: boolean): void {
  const { t, m, ctx } = thread;
  const [id] = missing as [number, ...number[]];
  const { row } = doingOf(t, id);
  const after = `${Math.round(ms)} ms`;
  if (freeing) {
    const refs = Atomics.load(m.shrinker.refcount, row);
    const what = `shrinkerFree of row ${row} does not return`;
    ctx.fail(`${what}: nobody runs a callback for ${after}, ${refs} references are left`);
  } else {
    ctx.fail(`thread ${id} did not come to rest in ${after}: it is at ${doingText(t, id)}`);
  }
}

/** Lets all threads go on. @context the keeper */
export function release({ t }: RestThread): void {
  Atomics.add(t.words, BARRIER, 1);
  Atomics.notify(t.words, BARRIER);
}
