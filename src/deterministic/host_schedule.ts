// SPDX-License-Identifier: GPL-2.0-only
/**
 * The host's side of a deterministic schedule. The host is the thread that runs the machine's main
 * side: one row of the schedule among the others, row 0, thread N being row N.
 *
 *   workers load in real time and join; none runs yet
 *   all have joined, or ended before they could: the schedule begins, and the host has the baton
 *   a turn of the host: due timers, microtasks, then sleep until the next timer, which passes it on
 *
 * A host's turn is asynchronous code, which is fine: everybody else waits for the baton. What would
 * come in real time is waited for: a worker whose thread has ended, or that is being terminated, is
 * gone before the turn is over, so that its exit is seen at one point of the schedule always.
 */
import { assert } from '../../shared/assert.ts';
import type { I32 } from '../../shared/types.ts';
import {
  Control,
  F_NOW,
  F_STEP,
  F_STEPS_MAX,
  F_SWITCHES,
  F_TICK,
  H_HASH,
  H_IDLE_LIMIT,
  H_SPIN_THRESHOLD,
  R_STATE,
  STATE_DONE,
} from '../harness/control.ts';
import { dropRow, joinControlled, leaveControlled, rowsJoined } from '../harness/join.ts';
import { real } from '../harness/native.ts';
import { RandomStrategy } from '../harness/strategy.ts';
import type { ScheduleReport } from '../report/run_report.ts';
import type { VirtualTimers } from './virtual_timers.ts';

export const HOST_ROW = 0;
/** Chance that the running thread is left at a point where it could go on. */
export const SWITCH_CHANCE = 1 / 16;
/** ns of virtual time that a step takes. */
const TICK_NS = 100;

/** Slept on by the host. */
const bed = new Int32Array(new SharedArrayBuffer(4)) as I32;

/** One real turn of the event loop: microtasks, and what has arrived. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    real.setImmediate(resolve);
  });
}

/** A control block for a host and `threads` threads, seeded. */
export function createSchedule(threads: number, seed: number): Control {
  const control = Control.create({ threads: threads + 1, planCapacity: 0, logCapacity: 0 });
  new RandomStrategy(seed, SWITCH_CHANCE).prepare(control);
  control.numbers[F_STEPS_MAX] = Infinity;
  control.numbers[F_TICK] = TICK_NS;
  // A CPU that hits the same page again and again is no spinner, and the engine's own spins are
  // bounded; a machine that stands still is khungtaskd's to find.
  control.words[H_IDLE_LIMIT] = 1 << 30;
  control.words[H_SPIN_THRESHOLD] = 1 << 20;
  return control;
}

/** The schedule as the host runs it. Implements the machine's `MachineSchedule`. */
export class HostSchedule {
  readonly control: unknown;
  readonly #block: Control;
  readonly #memory: SharedArrayBuffer;
  readonly #exited = new Set<number>();
  readonly #terminating = new Set<number>();
  #begun = false;

  constructor(block: Control, memory: SharedArrayBuffer) {
    this.#block = block;
    this.#memory = memory;
    this.control = { control: block.buffers, memory };
  }

  /** Virtual time in ms, without taking any. */
  nowMs(): number {
    return (this.#block.numbers[F_NOW] as number) / 1e6;
  }

  terminating(id: number): void {
    this.#terminating.add(id);
  }

  exited(id: number): void {
    this.#exited.add(id);
    if (this.#begun) dropRow(this.#block, id);
  }

  /** Resolves when every thread has joined, or is gone. @param over the run has ended already */
  async gathered(over: () => boolean): Promise<void> {
    const all = this.#block.threads - 1;
    while (!over() && rowsJoined(this.#block) + this.#exited.size < all) {
      await new Promise((resolve) => real.setTimeout(resolve, 1));
    }
  }

  /** Begins the schedule: this thread has the baton. @context the host, once */
  begin(): void {
    assert(!this.#begun, 'a schedule begins once');
    joinControlled(this.#block.buffers, HOST_ROW, [this.#memory]);
    this.#begun = true;
    for (const id of this.#exited) dropRow(this.#block, id);
  }

  /**
   * Takes turns until the run is over.
   * @param everyTurn called at the beginning of each
   * @context the host, which blocks between its turns
   */
  async run(timers: VirtualTimers, over: () => boolean, everyTurn: () => void): Promise<void> {
    const settle = (): Promise<void> => this.#settle();
    for (;;) {
      everyTurn();
      await settle();
      await timers.fireDue(settle);
      if (over()) return;
      const leftMs = timers.nextMs() - this.nowMs();
      if (leftMs > 0) Atomics.wait(bed, 0, 0, leftMs);
    }
  }

  /** @context the host, when every other thread is gone */
  end(): void {
    if (this.#begun) leaveControlled();
  }

  report(seed: number): ScheduleReport {
    const { words, numbers } = this.#block;
    return {
      seed,
      strategy: `random, leaves the running thread with probability ${SWITCH_CHANCE}`,
      decisions: numbers[F_STEP] as number,
      switches: numbers[F_SWITCHES] as number,
      scheduleHash: ((words[H_HASH] as number) >>> 0).toString(16).padStart(8, '0'),
      virtualMs: this.nowMs(),
    };
  }

  /** Lets everything happen that this turn has set off. */
  async #settle(): Promise<void> {
    await turn();
    while (this.#awaited()) await turn();
  }

  /** Is there a worker that must be gone before others go on? */
  #awaited(): boolean {
    const { words, threads } = this.#block;
    for (let id = 1; id < threads; id++) {
      if (this.#exited.has(id)) continue;
      const done = words[this.#block.row(id) + R_STATE] === STATE_DONE;
      if (done || this.#terminating.has(id)) return true;
    }
    return false;
  }
}
