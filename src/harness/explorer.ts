// SPDX-License-Identifier: MIT
/**
 * The main thread's side of an exploration: it starts the workers, hands them the scenario's state,
 * sends commands to the lead, and watches. It never blocks.
 *
 *   open -> run, run, ... -> close
 *
 * It is the watchdog as well: a thread that holds the baton and makes no operation for `hangMs` is
 * in a loop that the scheduler cannot see, and nothing but ending its worker helps.
 */
import { Worker } from 'node:worker_threads';
import { openGate } from './baton.ts';
import {
  Control,
  F_FRACTION,
  F_STEPS_TOTAL,
  GATE_QUIT,
  H_CURRENT,
  H_EXECUTIONS,
  H_RUNNING,
  H_STOP,
  RUNNING_CHECK,
  RUNNING_NO,
} from './control.ts';
import { ScenarioError } from './errors.ts';
import type { FromWorker, RunResult, RunSettings, ToWorker, WorkerStart } from './messages.ts';
import { memory, real } from './native.ts';
import { QuietWatch } from './quiet_watch.ts';

const POLL_MS = 100;
/** Exit code of Node where a top-level await never settles. */
const EXIT_UNSETTLED = 13;

export interface ExplorerOptions {
  /** Threads of a scenario, at most; 64. */
  readonly threadsMax?: number;
  /** A thread may compute so long between two operations, and a module may load so long, in ms. */
  readonly hangMs?: number;
  readonly race?: boolean;
  readonly plainPoints?: boolean;
  readonly include?: readonly string[];
  /** Steps that a schedule and a log can hold. */
  readonly capacity?: number;
}

/** How far a run is. */
export interface Progress {
  readonly executions: number;
  readonly steps: number;
  /** Part of its space that the strategy has seen, of 1; 0 where it does not say. */
  readonly fraction: number;
}

/** A scenario, loaded into workers that run it. @context main thread */
export class Explorer {
  readonly names: readonly string[];
  /** The scenario's own `options`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What `setup` returned: this thread's copy, on the same memory. */
  readonly state: unknown;
  readonly control: Control;
  readonly #workers: readonly Worker[];
  /** Rejects when a worker ends: the others would wait for it at their gates. */
  readonly #gone: Promise<never>;
  readonly #hangMs: number;
  readonly #file: string;
  #closed = false;

  private constructor(
    workers: readonly Worker[],
    control: Control,
    scenario: Extract<FromWorker, { type: 'scenario' }>,
    file: string,
    hangMs: number,
  ) {
    this.#workers = workers;
    this.control = control;
    this.names = scenario.names;
    this.options = scenario.options;
    this.state = scenario.state;
    this.#file = file;
    this.#hangMs = hangMs;
    this.#gone = untilGone(workers, (t) => `${file}: thread ${scenario.names[t]}`);
    this.#gone.catch(() => {});
  }

  /**
   * Loads a scenario into workers of its own.
   * @throws ScenarioError when it does not load, or has no scenario in it; no worker is left then
   */
  static async open(url: URL, options: ExplorerOptions = {}): Promise<Explorer> {
    const { threadsMax = 64, hangMs = 10_000, race = false, include = [] } = options;
    const { plainPoints = race } = options;
    const file = decodeURIComponent(url.pathname);
    const spawn = (thread: number): Worker =>
      spawnWorker({ url: url.href, thread, threadsMax, race, plainPoints, include });
    // Nearly every scenario has two threads at least: both load at once.
    const workers = [spawn(0), spawn(1)];
    const loaded = workers.map(untilLoaded);
    // Which of them is the first to fail, and whether it is awaited then, is not known.
    for (const promise of loaded) promise.catch(() => {});
    try {
      const scenario = await inTime(untilScenario(workers[0] as Worker), hangMs, () => {
        const seconds = hangMs / 1000;
        return `${file}: does not finish loading within ${seconds} s, setup included`;
      });
      for (let t = 2; t < scenario.names.length; t++) {
        workers.push(spawn(t));
        loaded.push(untilLoaded(workers[t] as Worker));
        loaded[t]?.catch(() => {});
      }
      await inTime(Promise.all(loaded), hangMs, () => `${file}: a worker does not finish loading`);
      const capacity = options.capacity ?? 1 << 17;
      const control = Control.create({
        threads: scenario.names.length,
        planCapacity: capacity,
        logCapacity: capacity,
      });
      const { buffers } = control;
      const bound = workers.map((worker) => untilType(worker, 'bound'));
      for (const worker of workers) {
        const { names, state } = scenario;
        post(worker, { type: 'bind', control: buffers, names, state, race: scenario.race });
      }
      await inTime(Promise.all(bound), hangMs, () => `${file}: a worker does not start`);
      return new Explorer(workers, control, scenario, file, hangMs);
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.terminate()));
      throw named(error, file);
    }
  }

  /**
   * Runs one command on the lead.
   * @throws ScenarioError when a thread hangs outside the schedule; the explorer is closed then
   */
  async run(settings: RunSettings, onProgress?: (progress: Progress) => void): Promise<RunResult> {
    const { words, numbers } = this.control;
    memory.store(words, H_STOP, 0);
    memory.store(words, H_EXECUTIONS, 0);
    const watch = new QuietWatch(POLL_MS, real.now());
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<never>((_, reject) => {
      timer = real.setInterval(() => {
        const steps = numbers[F_STEPS_TOTAL] as number;
        const fraction = numbers[F_FRACTION] as number;
        onProgress?.({ executions: memory.load(words, H_EXECUTIONS), steps, fraction });
        const sign = steps + memory.load(words, H_EXECUTIONS);
        const idle = memory.load(words, H_RUNNING) === RUNNING_NO;
        const quietMs = watch.look(idle ? null : sign, real.now());
        if (quietMs > this.#hangMs) reject(this.#hang());
      }, POLL_MS);
    });
    try {
      const lead = this.#workers[0] as Worker;
      const result = untilType(lead, 'result');
      post(lead, { type: 'run', settings });
      return (await Promise.race([result, hung, this.#gone])).result;
    } catch (error) {
      await this.close();
      throw named(error, this.#file);
    } finally {
      real.clearInterval(timer);
      hung.catch(() => {});
    }
  }

  /** Asks a run to end after its current execution. */
  stop(): void {
    memory.store(this.control.words, H_STOP, 1);
  }

  /** Ends the workers. May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (let t = 1; t < this.#workers.length; t++) openGate(this.control.words, t, GATE_QUIT);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #hang(): ScenarioError {
    if (memory.load(this.control.words, H_RUNNING) === RUNNING_CHECK) {
      return new ScenarioError(`${this.#file}: check did not return for ${this.#hangMs / 1000} s`);
    }
    const name = this.names[this.control.words[H_CURRENT] as number] ?? 'a thread';
    const seconds = this.#hangMs / 1000;
    return new ScenarioError(
      `${this.#file}: thread ${name} made no Atomics operation for ${seconds} s: ` +
        'an endless loop without one cannot be scheduled',
    );
  }
}

/** An error of the scenario, with its file. */
function named(error: unknown, file: string): unknown {
  if (!(error instanceof ScenarioError) || error.message.includes(file)) return error;
  return new ScenarioError(`${file}: ${error.message}`);
}

function spawnWorker(start: WorkerStart): Worker {
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: start,
    name: `harness-${start.thread}`,
    execArgv: ['--import', new URL('./preload.js', import.meta.url).href],
  });
  // Whoever waits for the worker hears of it; an error that nobody waits for ends no process.
  return worker.on('error', () => {});
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

/**
 * Resolves with the first message of a type.
 * @throws ScenarioError when the worker says that the scenario is bad
 */
function untilType<T extends FromWorker['type']>(
  worker: Worker,
  type: T,
): Promise<Extract<FromWorker, { type: T }>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromWorker): void => {
      if (message.type === 'bad') done(() => reject(new ScenarioError(message.message)));
      else if (message.type === type) done(() => resolve(message as never));
    };
    const onError = (error: Error): void => done(() => reject(error));
    const onExit = (code: number): void => {
      const why =
        code === EXIT_UNSETTLED
          ? 'does not finish loading: it awaits at top level what nothing will ever settle'
          : `a thread ended its worker, as process.exit(${code}) does`;
      done(() => reject(new ScenarioError(why)));
    };
    const done = (settle: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      settle();
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

/** @throws ScenarioError when one of the workers ends @param who names a thread in the message */
function untilGone(workers: readonly Worker[], who: (thread: number) => string): Promise<never> {
  return new Promise((_, reject) => {
    workers.forEach((worker, t) => {
      let why = '';
      worker.once('error', (error: Error) => {
        why = `: ${error.name}: ${error.message}`;
      });
      worker.once('exit', (code) => {
        reject(new ScenarioError(`${who(t)} ended its worker, with exit code ${code}${why}`));
      });
    });
  });
}

function untilLoaded(worker: Worker): Promise<Extract<FromWorker, { type: 'loaded' }>> {
  return untilType(worker, 'loaded');
}

function untilScenario(worker: Worker): Promise<Extract<FromWorker, { type: 'scenario' }>> {
  return untilType(worker, 'scenario');
}

/** @throws ScenarioError with `message` when the promise takes longer than `ms` */
async function inTime<T>(promise: Promise<T>, ms: number, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = real.setTimeout(() => reject(new ScenarioError(message())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    real.clearTimeout(timer);
  }
}
