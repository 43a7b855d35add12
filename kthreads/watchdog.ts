// SPDX-License-Identifier: GPL-2.0-only
/**
 * Hung tasks: who has shown no sign of life for too long, and what to say about them.
 *
 *   state                hung when
 *   running              the heartbeat stood still for hungTaskMs; condResched and wake-ups move it
 *   blocked              the same: it is asleep on a lock, a folio or a completion since then
 *   sleeping, parked     never: it waits for work, or was told to
 *
 * A watch ages threads by its own checks, each worth at most MAX_STEP_CHECKS intervals: when the
 * whole process was stopped (SIGSTOP, a suspended laptop), nobody hung.
 *
 * khungtaskd runs one; the main thread runs another, a little more patient, as the last watchdog.
 */
import { THREADS_MAX } from '../shared/limits.ts';
import { THREAD_BLOCKED, THREAD_RUNNING } from '../shared/thread.ts';
import type { Engine } from './engine.ts';
import { describeHeldLocks, describeWait, taskLabel } from './held_report.ts';
import { raisePanic } from './panic.ts';

const MAX_STEP_CHECKS = 3;
const CHECKS_PER_TIMEOUT = 8;
const CHECK_MS_MAX = 1000;

/** @returns ms between two checks for a timeout of `hungTaskMs` */
export function checkIntervalMs(hungTaskMs: number): number {
  return Math.min(CHECK_MS_MAX, Math.max(10, hungTaskMs / CHECKS_PER_TIMEOUT));
}

/** Remembers every thread's heartbeat and for how long it has stood still. @context one thread */
export class HungTaskWatch {
  readonly #engine: Engine;
  readonly #hungTaskMs: number;
  readonly #heartbeat = new Int32Array(THREADS_MAX);
  readonly #ageMs = new Float64Array(THREADS_MAX);
  #lastMs: number;

  /** @param nowMs the caller's clock, as given to `check` */
  constructor(engine: Engine, hungTaskMs: number, nowMs: number) {
    this.#engine = engine;
    this.#hungTaskMs = hungTaskMs;
    this.#lastMs = nowMs;
  }

  /**
   * Ages every thread by the time since the last check.
   * @returns ids of hung threads, running ones first: a blocked one usually waits for those
   */
  check(nowMs: number): number[] {
    const stepMax = MAX_STEP_CHECKS * checkIntervalMs(this.#hungTaskMs);
    const step = Math.min(nowMs - this.#lastMs, stepMax);
    this.#lastMs = nowMs;
    const { state, heartbeat } = this.#engine.sync.threads;
    const running: number[] = [];
    const blocked: number[] = [];
    for (let id = 1; id < THREADS_MAX; id++) {
      const now = Atomics.load(state, id);
      const beat = Atomics.load(heartbeat, id);
      const watched = now === THREAD_RUNNING || now === THREAD_BLOCKED;
      if (!watched || beat !== this.#heartbeat[id]) {
        this.#heartbeat[id] = beat;
        this.#ageMs[id] = 0;
        continue;
      }
      const age = (this.#ageMs[id] as number) + step;
      this.#ageMs[id] = age;
      if (age < this.#hungTaskMs) continue;
      (now === THREAD_RUNNING ? running : blocked).push(id);
    }
    return running.concat(blocked);
  }
}

/** One line about one hung thread, in the kernel's manner. */
export function describeHung(engine: Engine, id: number, hungTaskMs: number): string {
  const label = taskLabel(engine, id);
  const seconds = hungTaskMs / 1000;
  if (Atomics.load(engine.sync.threads.state, id) === THREAD_BLOCKED) {
    return `task ${label} blocked for more than ${seconds} s on ${describeWait(engine, id)}`;
  }
  const held = describeHeldLocks(engine, id);
  const holding = held.length === 0 ? '' : `, holding ${held.join(', ')}`;
  return `task ${label} running for more than ${seconds} s without a sign of life${holding}`;
}

/** Panics the machine over hung threads: the first is named as the one to blame, all are listed. */
export function panicHung(engine: Engine, ids: readonly number[], hungTaskMs: number): boolean {
  const who = ids[0] as number;
  return raisePanic(engine.sync.threads, engine.tasks, {
    who,
    reason: 'hung',
    message: ids.map((id) => describeHung(engine, id, hungTaskMs)).join('\n'),
    stack: '',
    heldLocks: describeHeldLocks(engine, who),
  });
}
