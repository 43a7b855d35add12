// SPDX-License-Identifier: GPL-2.0-only
/**
 * The main thread's side of torture jobs: workers that are kept between jobs, the clock of a job,
 * its stutter, and the watch over threads that no longer move.
 */
import { scheduler } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createArena } from '../../shared/arena.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { threadStacks } from '../harness/thread_stacks.ts';
import {
  J_FAILED,
  J_PROGRESS,
  J_READY,
  J_STOP,
  J_STUTTER,
  type JobAnswer,
  jobControlWords,
  type RoleTally,
  type TortureType,
  threadsOf,
  type Verdict,
} from './job.ts';

/** How a job is run. */
export interface JobOptions {
  readonly threads: number;
  readonly seed: number;
  readonly ms: number;
  readonly busted: boolean;
  readonly signal: AbortSignal | null;
  /** Threads that make no turn for so long hang; HANG_MS. */
  readonly hangMs?: number;
}

/** What a job came to. */
export interface JobResult extends Verdict {
  readonly ms: number;
}

/** All threads run for so long, then pause for a tenth of it. */
const STUTTER_MS = 400;
const POLL_MS = 20;
/** A worker may take so long to load. */
const START_MS = 30_000;
/** Threads that make no turn for so long hang. */
export const HANG_MS = 5000;
/** The same in a job whose checks have failed: its threads may wait for each other for good. */
const HANG_FAILED_MS = 2000;
/** And so long after it was told to stop, whatever they do. */
const STOP_FAILED_MS = 1000;

/** Workers for one module of types. */
export class TorturePool {
  readonly #module: string;
  #workers: Worker[] = [];

  /** @param module exports `types` */
  constructor(module: URL) {
    this.#module = module.href;
  }

  /** Runs one type for a while. @returns what was found; a hang is a failure like another */
  async run(type: TortureType, options: JobOptions): Promise<JobResult> {
    const { seed, busted } = options;
    const threads = threadsOf(type, options.threads);
    const { memory, tables } = createArena((builder) => type.declare(builder, threads));
    type.init?.(tables, threads);
    const control: I32 = new Int32Array(new SharedArrayBuffer(jobControlWords(threads) * 4));
    while (this.#workers.length < threads) this.#workers.push(this.#spawn());
    const workers = this.#workers.slice(0, threads);
    const roles = type.roles(threads);
    const common = { module: this.#module, type: type.name, busted, memory, control };
    const answers = workers.map((worker, at) => {
      const role = roles[at] as string;
      return ask(worker, { ...common, id: at + 1, threads, role, seed });
    });
    const said: string[] = [];
    for (const answer of answers) {
      answer.then(({ messages }) => said.push(...messages)).catch(() => {});
    }
    const startNs = ktimeNs();
    const hang = await this.#watch(control, answers, options);
    const ms = (ktimeNs() - startNs) / 1e6;
    // What a check said comes first: threads that hang after it are its consequence.
    if (hang !== null) return { lines: [], failures: [...said, ...hang], counts: {}, ms };
    const given = await Promise.all(answers);
    // What a body that threw has left in its worker's modules is not known.
    if (given.some(({ thrown }) => thrown !== null)) await this.close();
    return { ...judge(type, tables, roles, given), ms };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  #spawn(): Worker {
    const preload = new URL('../harness/torture_preload.js', import.meta.url).href;
    return new Worker(new URL('./worker.js', import.meta.url), {
      execArgv: ['--import', preload],
    });
  }

  /** @returns null once all have answered, or what a hang looks like */
  async #watch(
    control: I32,
    answers: readonly Promise<JobAnswer>[],
    options: JobOptions,
  ): Promise<string[] | null> {
    const state = { done: false };
    const all = Promise.all(answers).then(() => {
      state.done = true;
    });
    // Time counts from when all threads are there: on a busy machine a worker takes its time.
    let endNs = Infinity;
    const stutter = new Stutter(control);
    const progress = new ProgressWatch(control, answers.length);
    const { hangMs = HANG_MS } = options;
    let overNs = Infinity;
    while (!state.done) {
      await Promise.race([all, scheduler.wait(POLL_MS)]);
      if (endNs === Infinity && progress.started) endNs = ktimeNs() + options.ms * 1e6;
      const failed = Atomics.load(control, J_FAILED) > 0;
      const over = failed || ktimeNs() >= endNs || options.signal?.aborted === true;
      if (over) overNs = Math.min(overNs, ktimeNs());
      if (over) stopJob(control);
      else stutter.tick();
      const still = progress.stillMs(stutter.paused && !over);
      const stopping = (ktimeNs() - overNs) / 1e6;
      const hangs =
        still >= (failed ? HANG_FAILED_MS : hangMs) ||
        stopping >= (failed ? STOP_FAILED_MS : hangMs);
      if (!state.done && hangs) return this.#hang(progress, failed);
    }
    await all;
    return null;
  }

  /** The threads will not come back: they are named, ended, and replaced at the next job. */
  async #hang(progress: ProgressWatch, failed: boolean): Promise<string[]> {
    const ids = this.#workers.map(({ threadId }) => threadId);
    const stacks = await threadStacks(ids);
    const why = failed ? 'a check failed, and threads did not stop' : 'threads did not stop';
    const still = Math.round(progress.still);
    const lines = [
      still > POLL_MS ? `hang: no thread made a turn for ${still} ms` : `hang: ${why}`,
    ];
    for (const [at, id] of ids.entries()) {
      const stack = stacks.get(id) ?? '';
      if (stack !== '') lines.push(`thread ${at + 1}:\n${stack}`);
    }
    await this.close();
    return lines;
  }
}

function stopJob(control: I32): void {
  Atomics.store(control, J_STOP, 1);
  Atomics.notify(control, J_STUTTER);
}

/** Runs, pauses: odd values of the word mean a pause. */
class Stutter {
  readonly #control: I32;
  #nextNs = ktimeNs() + STUTTER_MS * 1e6;
  paused = false;

  constructor(control: I32) {
    this.#control = control;
  }

  tick(): void {
    if (ktimeNs() < this.#nextNs) return;
    this.paused = !this.paused;
    Atomics.add(this.#control, J_STUTTER, 1);
    Atomics.notify(this.#control, J_STUTTER);
    this.#nextNs = ktimeNs() + (this.paused ? STUTTER_MS / 10 : STUTTER_MS) * 1e6;
  }
}

/** How long no thread has made a turn. */
class ProgressWatch {
  readonly #control: I32;
  readonly #threads: number;
  #turns = -1;
  readonly #startNs = ktimeNs();
  #sinceNs = ktimeNs();
  still = 0;

  constructor(control: I32, threads: number) {
    this.#control = control;
    this.#threads = threads;
  }

  /** All threads are about to begin, or have. */
  get started(): boolean {
    return Atomics.load(this.#control, J_READY) >= this.#threads;
  }

  stillMs(paused: boolean): number {
    const starting = !this.started && (ktimeNs() - this.#startNs) / 1e6 < START_MS;
    let turns = 0;
    for (let id = 1; id <= this.#threads; id++) {
      turns = (turns + Atomics.load(this.#control, J_PROGRESS + id * LINE_WORDS)) | 0;
    }
    if (turns !== this.#turns || paused || starting) this.#sinceNs = ktimeNs();
    this.#turns = turns;
    this.still = (ktimeNs() - this.#sinceNs) / 1e6;
    return this.still;
  }
}

function ask(worker: Worker, request: object): Promise<JobAnswer> {
  const answer = new Promise<JobAnswer>((resolve, reject) => {
    const settle = (act: () => void) => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      act();
    };
    const onMessage = (message: JobAnswer) => settle(() => resolve(message));
    const onError = (error: unknown) => settle(() => reject(error as Error));
    const onExit = () => settle(() => reject(new Error('a torture thread ended')));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(request);
  });
  answer.catch(() => {}); // awaited together
  return answer;
}

function judge(
  type: TortureType,
  tables: unknown,
  roles: readonly string[],
  answers: readonly JobAnswer[],
): Verdict {
  const tallies: RoleTally[] = answers.map(({ tally }, at) => ({
    role: roles[at] as string,
    tally,
  }));
  const said = answers.flatMap(({ messages }) => messages);
  const verdict = type.judge(tables, tallies, roles.length);
  // After a body has thrown, sums do not add up: what it threw is the failure.
  const failures = said.length > 0 ? said : verdict.failures;
  return { ...verdict, failures };
}
