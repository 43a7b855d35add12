// SPDX-License-Identifier: GPL-2.0-only
/**
 * The host's side of a deterministic schedule (src/harness/machine_schedule.ts). The host is the
 * thread that runs the machine's main side: row 0 of the schedule, thread N being row N.
 *
 *   workers load in real time and join; none runs yet
 *   all have joined, or ended before they could: the host begins to take turns
 *   a turn: due timers, microtasks, then sleep until the next timer, which passes the baton on
 *
 * A host's turn is asynchronous code, which is fine: everybody else waits for the baton. What would
 * come in real time is waited for: a worker whose thread has ended, or that is being terminated, is
 * gone before the turn is over, so that its exit is seen at one point of the schedule always.
 */
import { Prng } from '../../shared/prng.ts';
import { UsageError } from '../errors.ts';
import {
  type Control,
  F_STEP,
  F_SWITCHES,
  H_GATE_SPINS,
  H_HASH,
  H_IDLE_LIMIT,
  H_JOINED,
  H_OUTCOME,
  H_SPIN_THRESHOLD,
  R_STATE,
  STATE_DONE,
} from '../harness/control.ts';
import {
  closeSchedule,
  hostSleep,
  openSchedule,
  type Schedule,
  scheduleNow,
} from '../harness/machine_schedule.ts';
import { real } from '../harness/native.ts';
import { boundScheduler } from '../harness/runtime.ts';
import type { ScheduleReport } from '../report/run_report.ts';
import type { VirtualTimers } from './virtual_timers.ts';

/**
 * Chances that the running thread is left at a point where it could go on. The seed chooses one:
 * some bugs need many switches, others that one thread gets far while another stands still.
 */
const SWITCH_CHANCES = [1 / 8, 1 / 16, 1 / 64, 1 / 256] as const;

/** @returns the chance of a seed */
function switchChance(seed: number): number {
  return SWITCH_CHANCES[new Prng(seed, 2).below(SWITCH_CHANCES.length)] as number;
}

/** The schedule's addresses end here. */
const MEMORY_BYTES_MAX = 1.25 * 2 ** 30;

/** One real turn of the event loop: microtasks, and what has arrived. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    real.setImmediate(resolve);
  });
}

/** The schedule as the host runs it. Implements the machine's `MachineSchedule`. */
export class HostSchedule {
  readonly shared: Schedule;
  readonly control: Control;
  readonly #chance: number;
  readonly #exited = new Set<number>();
  readonly #terminating = new Set<number>();
  #begun = false;

  /** @param memory whose words the threads share: the machine's arena */
  constructor(threads: number, seed: number, memory: SharedArrayBuffer) {
    if (memory.byteLength > MEMORY_BYTES_MAX) {
      const most = `${MEMORY_BYTES_MAX / 2 ** 30} GiB`;
      throw new UsageError(
        `memory: the tables of a deterministic machine take at most ${most}; give less memory`,
      );
    }
    this.#chance = switchChance(seed);
    const buffers = [memory];
    const opened = openSchedule({ threads, seed, buffers, switchChance: this.#chance });
    this.shared = opened.schedule;
    this.control = opened.control;
    // A CPU that hits the same page again and again is no spinner, and the engine's own spins are
    // bounded; a machine that stands still is khungtaskd's to find.
    this.control.words[H_SPIN_THRESHOLD] = 1 << 20;
    this.control.words[H_IDLE_LIMIT] = 1 << 30;
    // With more threads than cores, who waits for the baton is in the way of who has it.
    this.control.words[H_GATE_SPINS] = 0;
  }

  /** Virtual time in ms. */
  nowMs(): number {
    return scheduleNow(this.control) / 1e6;
  }

  terminating(id: number): void {
    this.#terminating.add(id);
  }

  exited(id: number): void {
    this.#exited.add(id);
    if (this.#begun) this.#drop(id);
  }

  /**
   * Takes turns until the run is over.
   * @param everyTurn called at the beginning of each
   * @throws Error when the schedule ends before the run does
   * @context the host, which blocks between its turns
   */
  async run(timers: VirtualTimers, over: () => boolean, everyTurn: () => void): Promise<void> {
    await this.#gathered(over);
    this.#begun = true;
    for (const id of this.#exited) this.#drop(id);
    const settle = (): Promise<void> => this.#settle();
    for (;;) {
      everyTurn();
      await settle();
      await timers.fireDue(settle);
      if (over()) break;
      if (!hostSleep(this.control, timers.nextMs() * 1e6)) {
        throw new Error(`the schedule ended before its machine: ${this.control.words[H_OUTCOME]}`);
      }
    }
    closeSchedule();
  }

  report(seed: number): ScheduleReport {
    const { words, numbers } = this.control;
    return {
      seed,
      strategy: `random, leaves a thread that could go on with probability 1/${1 / this.#chance}`,
      decisions: numbers[F_STEP] as number,
      switches: numbers[F_SWITCHES] as number,
      scheduleHash: ((words[H_HASH] as number) >>> 0).toString(16).padStart(8, '0'),
      virtualMs: this.nowMs(),
    };
  }

  /** Resolves when every thread has joined, or is gone. */
  async #gathered(over: () => boolean): Promise<void> {
    const { words, threads } = this.control;
    const joined = (): number => Atomics.load(words, H_JOINED);
    while (!over() && joined() + this.#exited.size < threads - 1) {
      await new Promise((resolve) => real.setTimeout(resolve, 1));
    }
  }

  /** Gives up the row of a thread that is gone without having left. @context holds the baton */
  #drop(id: number): void {
    if (this.control.words[this.control.row(id) + R_STATE] === STATE_DONE) return;
    boundScheduler().finish(id);
  }

  /** Lets everything happen that this turn has set off. */
  async #settle(): Promise<void> {
    await turn();
    while (this.#awaited()) await turn();
  }

  /** Is there a worker that must be gone before others go on? */
  #awaited(): boolean {
    const { words, threads } = this.control;
    for (let id = 1; id < threads; id++) {
      if (this.#exited.has(id)) continue;
      const done = words[this.control.row(id) + R_STATE] === STATE_DONE;
      if (done || this.#terminating.has(id)) return true;
    }
    return false;
  }
}
