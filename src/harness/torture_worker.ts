// SPDX-License-Identifier: MIT
/**
 * A torture thread: round after round of one function of a scenario.
 *
 *   lead (thread 0)             others
 *   restores the shared bytes   wait at the barrier
 *   --------------------- barrier ---------------------
 *   jitter, function            jitter, function
 *   --------------------- barrier ---------------------
 *   invariant, check            wait at the barrier
 *
 * Nothing is sent between rounds: they run as fast as threads can meet.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ktimeNs } from '../../shared/ktime.ts';
import { Prng } from '../../shared/prng.ts';
import type { I32 } from '../../shared/types.ts';
import { barrierWait } from './barrier.ts';
import { ScenarioError } from './errors.ts';
import { mergeHistories, Recorder } from './history.ts';
import { needsHooks } from './race/hooks_needed.ts';
import { mustHold, readScenario, type Scenario, type ThreadContext } from './scenario.ts';
import { collectBuffers, Snapshot } from './state.ts';
import {
  K_BARRIER,
  K_PLAN,
  K_STOP,
  K_THREW,
  type Mail,
  PHASE_CHECKING,
  PHASE_PAUSED,
  PHASE_RETURNED,
  PHASE_RUNNING,
  PHASE_THREW,
  PHASE_WAITING,
  PLAN_CALM,
  PLAN_OVER,
  PLAN_ROUND,
  type Thrown,
  TortureControl,
  thrownOf,
} from './torture_control.ts';
import { armDelays, disarmDelays, noteDelaysAt } from './torture_delays.ts';

/** `workerData`. */
export interface TortureStart {
  readonly url: string;
  readonly thread: number;
  readonly seed: number;
  readonly delays: boolean;
}

/** Sent once all threads are there. */
export interface TortureBind {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly state: unknown;
  readonly rounds: number;
  readonly ms: number;
  readonly stutterMs: number;
  readonly spin: number;
}

/** How a run ended, as the lead tells it. */
export interface TortureEnd {
  readonly type: 'end';
  readonly rounds: number;
  readonly ns: number;
  /** -1: `check` or `invariant` failed. */
  readonly thread: number;
  readonly failure: Thrown | null;
}

export type FromTorture =
  | { readonly type: 'scenario'; readonly names: readonly string[]; readonly state: unknown }
  | { readonly type: 'bad'; readonly message: string }
  | { readonly type: 'loaded' }
  | TortureEnd;

/** Loads that a thread is late by at most. */
const JITTER = 256;
/** Rounds without delays after a pause: the rush. */
const RUSH_ROUNDS = 64;

const start = workerData as TortureStart;
const port = parentPort as NonNullable<typeof parentPort>;
const file = start.url.startsWith('file:') ? new URL(start.url).pathname : start.url;

function tell(message: FromTorture): void {
  port.postMessage(message);
}

/** One thread and all that it needs for its rounds. */
class TortureThread {
  readonly #control: TortureControl;
  readonly #words: I32;
  readonly #bind: TortureBind;
  readonly #scenario: Scenario;
  readonly #own: Snapshot | null;
  readonly #shared: Snapshot | null;
  readonly #clock: I32;
  #prng = new Prng(0);
  readonly #recorder: Recorder;
  #rush = 0;
  #pauseAtNs = Infinity;
  rounds = 0;
  /** Who failed, and how. */
  culprit = -1;
  failure: Thrown | null = null;

  constructor(scenario: Scenario, bind: TortureBind, clock: I32) {
    this.#scenario = scenario;
    this.#bind = bind;
    this.#clock = clock;
    this.#recorder = new Recorder(start.thread, () => Atomics.add(clock, 0, 1));
    this.#control = new TortureControl(bind.buffer, bind.threads);
    this.#words = this.#control.words;
    const { shared, own } = collectBuffers(bind.state);
    this.#own = own.length > 0 ? new Snapshot(own) : null;
    this.#shared = start.thread === 0 ? new Snapshot(shared) : null;
    noteDelaysAt(this.#words, this.#control.row(start.thread));
  }

  /** @returns nanoseconds from the first round to the last */
  run(): number {
    const { threads, spin, ms, rounds, stutterMs } = this.#bind;
    const { thread } = start;
    const startNs = ktimeNs();
    const endNs = startNs + ms * 1e6;
    if (stutterMs > 0) this.#pauseAtNs = startNs + stutterMs * 1e6;
    for (;;) {
      if (thread === 0) this.#prepare(this.rounds >= rounds || ktimeNs() >= endNs);
      this.#control.setPhase(thread, PHASE_WAITING);
      barrierWait(this.#words, K_BARRIER, threads, spin);
      if (this.#words[K_PLAN + PLAN_OVER] !== 0) return ktimeNs() - startNs;
      this.#round();
      barrierWait(this.#words, K_BARRIER, threads, spin);
      this.rounds++;
      if (thread === 0) this.#judge();
    }
  }

  /** The lead's part before a round: the plan, the bytes, the pause. */
  #prepare(over: boolean): void {
    const words = this.#words;
    const stop = over || this.failure !== null || Atomics.load(words, K_STOP) !== 0;
    if (!stop) this.#stutter();
    words[K_PLAN + PLAN_OVER] = stop ? 1 : 0;
    words[K_PLAN + PLAN_ROUND] = this.rounds;
    words[K_PLAN + PLAN_CALM] = this.#rush > 0 ? 1 : 0;
    if (this.#rush > 0) this.#rush--;
    this.#shared?.restore();
  }

  /** All pause, parked at the barrier, and then rush: an idle machine that gets busy at once. */
  #stutter(): void {
    if (ktimeNs() < this.#pauseAtNs) return;
    const { stutterMs } = this.#bind;
    this.#control.setPhase(start.thread, PHASE_PAUSED);
    Atomics.wait(this.#clock, 1, 0, Math.min(stutterMs / 4, 200));
    this.#pauseAtNs = ktimeNs() + stutterMs * 1e6;
    this.#rush = RUSH_ROUNDS;
  }

  #round(): void {
    const { thread, seed, delays } = start;
    const round = this.#words[K_PLAN + PLAN_ROUND] as number;
    const calm = this.#words[K_PLAN + PLAN_CALM] !== 0;
    this.#prng = new Prng(seed ^ Math.imul(round, 0x85ebca6b), thread + 1);
    this.#own?.restore();
    this.#recorder.clear();
    this.#control.setPhase(thread, PHASE_RUNNING);
    if (!calm) this.#jitter();
    if (delays && !calm) armDelays(seed, thread, round);
    let mail: Mail;
    try {
      const { fn } = this.#function();
      const result = fn(this.#bind.state, this.#context());
      const { operations } = this.#recorder;
      const history = operations.length > 0 ? operations : undefined;
      mail = { result, history, thrown: null };
    } catch (error) {
      mail = { result: undefined, history: undefined, thrown: thrownOf(error) };
    } finally {
      disarmDelays();
    }
    this.#deliver(mail);
  }

  #deliver(mail: Mail): void {
    const { thread } = start;
    try {
      this.#control.post(thread, mail);
    } catch (error) {
      mail = { result: undefined, history: undefined, thrown: thrownOf(error) };
      this.#control.post(thread, mail);
    }
    this.#control.setPhase(thread, mail.thrown === null ? PHASE_RETURNED : PHASE_THREW);
    if (mail.thrown !== null) Atomics.add(this.#words, K_THREW, 1);
  }

  #jitter(): void {
    const most = JITTER >> (this.#prng.below(4) * 2);
    const loads = this.#prng.below(most);
    for (let i = 0; i < loads; i++) Atomics.load(this.#clock, 1);
  }

  #function(): Scenario['threads'][number] {
    const { threads } = this.#scenario;
    return threads[start.thread % threads.length] as Scenario['threads'][number];
  }

  #context(): ThreadContext {
    return {
      id: start.thread,
      threads: this.#bind.threads,
      random: () => this.#prng.nextFloat(),
      record: (operation, argument, fn) => this.#recorder.record(operation, argument, fn),
    };
  }

  /** The lead's part after a round: did it hold? */
  #judge(): void {
    Atomics.store(this.#clock, 0, 0);
    const mails = Array.from({ length: this.#bind.threads }, (_, at) => this.#control.read(at));
    this.culprit = mails.findIndex(({ thrown }) => thrown !== null);
    if (this.culprit >= 0) {
      this.failure = mails[this.culprit]?.thrown ?? null;
      return;
    }
    const { check, invariant } = this.#scenario;
    if (check === null && invariant === null) return;
    this.#control.setPhase(start.thread, PHASE_CHECKING);
    const { state } = this.#bind;
    const results = mails.map(({ result }) => result);
    const history = mergeHistories(mails.map((mail) => mail.history ?? []));
    try {
      if (invariant !== null) mustHold('invariant', () => invariant(state));
      if (check !== null) mustHold('check', () => check(state, results, history));
    } catch (error) {
      this.failure = thrownOf(error);
    }
  }
}

async function load(): Promise<Scenario> {
  if (needsHooks(start.url, { race: false })) {
    await (await import('./race/hooks.ts')).installHooks({ race: false, include: [] });
  }
  const module = (await import(start.url)) as Record<string, unknown>;
  return readScenario(module, file, 64);
}

function announce(scenario: Scenario): void {
  const state = scenario.setup === null ? {} : scenario.setup();
  if (state instanceof Promise) throw new ScenarioError(`${file}: setup is async`);
  tell({ type: 'scenario', names: scenario.threads.map(({ name }) => name), state });
}

try {
  const scenario = await load();
  if (start.thread === 0) announce(scenario);
  else tell({ type: 'loaded' });
  port.once('message', (bind: TortureBind & { clock: I32 }) => {
    const thread = new TortureThread(scenario, bind, bind.clock);
    const ns = thread.run();
    const { rounds, culprit, failure } = thread;
    if (start.thread === 0) tell({ type: 'end', rounds, ns, thread: culprit, failure });
    port.close();
  });
} catch (error) {
  const { name, message } = error as Error;
  const line = name === 'ScenarioError' ? message : `${file}: does not load: ${message}`;
  tell({ type: 'bad', message: line.split('\n')[0] as string });
  port.close();
}
