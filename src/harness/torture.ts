// SPDX-License-Identifier: MIT
/**
 * `torture`: a scenario file (scenario.ts) on real threads at full speed, round after round.
 *
 * Where `explore` decides who runs and `litmus` looks at single accesses, this is the plain stress
 * test, done with care: threads start a round together, after a small random wait each; delays
 * strike around Atomics operations; now and then all pause together and then rush. It shows what
 * only real threads show, such as reordering of plain accesses, and it covers a large state space
 * thinly: passing means little, failing means a bug. A round cannot be replayed; the seed brings
 * back its delays and random numbers, not its interleaving.
 *
 *   await torture(new URL('./queue.scenario.js', import.meta.url), { seconds: 10 });
 *
 * A thread that hangs is reported, with the stack of every thread: nothing waits for ever.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { scheduler } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ktimeNs } from '../../shared/ktime.ts';
import { BARRIER_SPIN, BARRIER_SPIN_SHORT, barrierTurns } from './barrier.ts';
import { ScenarioError } from './errors.ts';
import { readFrames, shownPath, shownStack } from './stack_frames.ts';
import { threadStacks } from './thread_stacks.ts';
import {
  K_BARRIER,
  K_STOP,
  K_THREW,
  OP_NAMES,
  PHASE_NAMES,
  PHASE_PAUSED,
  PHASE_RUNNING,
  ROW_INDEX,
  ROW_OP,
  type Thrown,
  TortureControl,
} from './torture_control.ts';
import type { FromTorture, TortureEnd, TortureStart } from './torture_worker.ts';

/** How long and how hard. Whichever bound comes first ends it. */
export interface TortureOptions {
  /** Default 1, or no bound where `rounds` is given. */
  readonly seconds?: number;
  readonly rounds?: number;
  /** Threads; thread k runs function k modulo their number. Default: one for each function. */
  readonly threads?: number;
  /** Of delays, jitter and `random()`. Default 1. */
  readonly seed?: number;
  /** Random delays around Atomics operations; false leaves `Atomics` as it is. Default true. */
  readonly delays?: boolean;
  /** All threads pause together every so many milliseconds; 0 for never. Default 500. */
  readonly stutter?: number;
  /** Aborting it ends the run after the round. */
  readonly signal?: AbortSignal;
  /** A round that takes longer is a hang, in milliseconds. Default 5000. */
  readonly hangMs?: number;
}

/** One thread at the moment of a failure. */
export interface TortureThreadReport {
  readonly name: string;
  /** What it was doing, in a few words. */
  readonly doing: string;
  /** Where; empty when unknown. */
  readonly stack: string;
}

/** What went wrong. */
export interface TortureFailure {
  readonly kind: 'thrown' | 'check' | 'hang';
  /** Round that failed, from 0. */
  readonly round: number;
  /** Thread that threw, or null. */
  readonly thread: number | null;
  readonly message: string;
  readonly stack: string;
  readonly threads: readonly TortureThreadReport[];
}

/** What a run came to. */
export interface TortureResult {
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly threads: readonly string[];
  readonly interrupted: boolean;
  readonly failure: TortureFailure | null;
}

const POLL_MS = 50;
/** A round in which a function threw may take so long to end. */
const GRACE_MS = 500;

interface Session {
  readonly file: string;
  readonly names: readonly string[];
  readonly workers: readonly Worker[];
  readonly control: TortureControl;
  readonly end: Promise<TortureEnd>;
}

function spawn(start: TortureStart): Worker {
  const preload = new URL('./torture_preload.js', import.meta.url).href;
  return new Worker(new URL('./torture_worker.js', import.meta.url), {
    workerData: start,
    execArgv: start.delays ? ['--import', preload] : [],
  });
}

/** The next message of a worker. @throws ScenarioError when it says that the file is bad */
function nextMessage(worker: Worker, file: string, ms: number): Promise<FromTorture> {
  const over = new AbortController();
  const answer = new Promise<FromTorture>((resolve, reject) => {
    worker.once('message', (message: FromTorture) => {
      if (message.type === 'bad') reject(new ScenarioError(message.message));
      else resolve(message);
    });
    worker.once('error', reject);
    worker.once('messageerror', reject);
    worker.once('exit', () => reject(new ScenarioError(`${file}: a thread ended while it loaded`)));
  });
  const late = scheduler.wait(ms, { signal: over.signal }).then((): never => {
    throw new ScenarioError(`${file}: does not load within ${ms} ms`);
  });
  late.catch(() => {});
  return Promise.race([answer, late]).finally(() => over.abort());
}

function endOf(workers: readonly Worker[]): Promise<TortureEnd> {
  const end = new Promise<TortureEnd>((resolve, reject) => {
    workers[0]?.on('message', (message: FromTorture) => {
      if (message.type === 'end') resolve(message);
    });
    for (const worker of workers) worker.on('error', reject);
  });
  end.catch(() => {}); // awaited while it is watched
  return end;
}

async function open(url: URL, options: TortureOptions, workers: Worker[]): Promise<Session> {
  const file = decodeURIComponent(url.pathname);
  const { seed = 1, delays = true, stutter = 500, hangMs = 5000, rounds } = options;
  const start = (thread: number): TortureStart => ({ url: url.href, thread, seed, delays });
  const add = (thread: number): Worker => {
    const worker = spawn(start(thread));
    workers.push(worker);
    return worker;
  };
  const scenario = await nextMessage(add(0), file, Math.max(hangMs, 10_000));
  if (scenario.type !== 'scenario') throw new ScenarioError(`${file}: sent no scenario`);
  const threads = options.threads ?? scenario.names.length;
  const others = Array.from({ length: threads - 1 }, (_, at) => add(at + 1));
  await Promise.all(others.map((worker) => nextMessage(worker, file, Math.max(hangMs, 10_000))));
  const buffer = TortureControl.make(threads);
  const end = endOf(workers);
  const bind = {
    buffer,
    threads,
    state: scenario.state,
    clock: new Int32Array(new SharedArrayBuffer(8)),
    rounds: rounds ?? Infinity,
    ms: 1000 * (options.seconds ?? (rounds === undefined ? 1 : Infinity)),
    stutterMs: stutter,
    spin: threads <= availableParallelism() ? BARRIER_SPIN : BARRIER_SPIN_SHORT,
  };
  for (const worker of workers) worker.postMessage(bind);
  const names = Array.from({ length: threads }, (_, at) => {
    return scenario.names[at % scenario.names.length] as string;
  });
  return { file, names, workers, control: new TortureControl(buffer, threads), end };
}

/** Ends when rounds stop ending, or a round in which a function threw does not end. */
async function watch(session: Session, hangMs: number, over: AbortSignal): Promise<'hang'> {
  const { control } = session;
  let turns = -1;
  let still = 0;
  for (;;) {
    await scheduler.wait(POLL_MS, { signal: over });
    const now = barrierTurns(control.words, K_BARRIER);
    still = now === turns && control.phase(0) !== PHASE_PAUSED ? still + POLL_MS : 0;
    turns = now;
    const threw = Atomics.load(control.words, K_THREW) > 0;
    if (still >= (threw ? GRACE_MS : hangMs)) return 'hang';
  }
}

function doing(control: TortureControl, thread: number): string {
  const phase = control.phase(thread);
  const name = PHASE_NAMES[phase] ?? 'unknown';
  const at = control.row(thread);
  const op = OP_NAMES[(control.words[at + ROW_OP] as number) - 1];
  if (phase !== PHASE_RUNNING || op === undefined) return name;
  return `${name}: Atomics.${op} at index ${control.words[at + ROW_INDEX]}`;
}

/** Every thread, as it stands; with its stack, where it is still running. */
async function reportThreads(session: Session, stacks: boolean): Promise<TortureThreadReport[]> {
  const { control, workers, names } = session;
  const ids = workers.map(({ threadId }) => threadId);
  const found = stacks ? await threadStacks(ids) : new Map<number, string>();
  return names.map((name, thread) => ({
    name,
    doing: doing(control, thread),
    stack: control.read(thread).thrown?.stack ?? found.get(ids[thread] as number) ?? '',
  }));
}

async function hangReport(session: Session, hangMs: number): Promise<TortureFailure> {
  const { control, names } = session;
  const threads = await reportThreads(session, true);
  const mails = names.map((_, thread) => control.read(thread));
  const thread = mails.findIndex(({ thrown }) => thrown !== null);
  const round = barrierTurns(control.words, K_BARRIER) >> 1;
  const thrown = mails[thread]?.thrown ?? null;
  if (thrown !== null) return failureOf('thrown', round, thread, thrown, threads);
  const message = `round ${round} did not end within ${hangMs} ms`;
  return { kind: 'hang', round, thread: null, message, stack: '', threads };
}

function failureOf(
  kind: TortureFailure['kind'],
  round: number,
  thread: number,
  thrown: Thrown,
  threads: readonly TortureThreadReport[],
): TortureFailure {
  const { name, message, stack } = thrown;
  const text = name === 'Error' ? message : `${name}: ${message}`;
  return { kind, round, thread: thread < 0 ? null : thread, message: text, stack, threads };
}

async function supervise(session: Session, options: TortureOptions): Promise<TortureResult> {
  const { control } = session;
  const hangMs = options.hangMs ?? 5000;
  const over = new AbortController();
  const stop = () => Atomics.store(control.words, K_STOP, 1);
  if (options.signal?.aborted === true) stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const watched = watch(session, hangMs, over.signal);
  watched.catch(() => {});
  const startNs = ktimeNs();
  try {
    const end = await Promise.race([session.end, watched]);
    const base = {
      seed: options.seed ?? 1,
      threads: session.names,
      interrupted: options.signal?.aborted === true,
    };
    if (end === 'hang') {
      const failure = await hangReport(session, hangMs);
      const seconds = (ktimeNs() - startNs) / 1e9;
      return { ...base, rounds: failure.round, seconds, failure };
    }
    const { rounds, ns, thread, failure: thrown } = end;
    const result = { ...base, rounds, seconds: ns / 1e9, failure: null };
    if (thrown === null) return result;
    const kind = thread < 0 ? 'check' : 'thrown';
    const threads = await reportThreads(session, false);
    return { ...result, failure: failureOf(kind, rounds - 1, thread, thrown, threads) };
  } finally {
    over.abort();
    options.signal?.removeEventListener('abort', stop);
  }
}

/** A round failed: the message is the whole report. */
export class TortureError extends Error {
  override readonly name = 'TortureError';
  readonly result: TortureResult;

  constructor(result: TortureResult) {
    super(formatTorture(result).trimEnd());
    this.result = result;
  }
}

const BOUNDS: readonly (readonly [keyof TortureOptions, number, number])[] = [
  ['seconds', 0.001, 1e7],
  ['rounds', 1, 1e12],
  ['threads', 2, 64],
  ['seed', 0, 2 ** 32 - 1],
  ['stutter', 0, 1e6],
  ['hangMs', 1, 1e9],
];

function checkOptions(options: TortureOptions): void {
  for (const [name, low, high] of BOUNDS) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value === 'number' && value >= low && value <= high) continue;
    throw new ScenarioError(`${name}: ${String(value)}; give a number from ${low} to ${high}`);
  }
}

/**
 * Runs a scenario on real threads.
 * @param scenario URL or path of its module
 * @returns rounds and seconds, when every round held
 * @throws TortureError when one did not; ScenarioError, one line, for a file that is no scenario
 * @context the thread must be free to handle events; workers are started and ended
 */
export async function torture(
  scenario: URL | string,
  options: TortureOptions = {},
): Promise<TortureResult> {
  const result = await tortureReport(scenario, options);
  if (result.failure !== null) throw new TortureError(result);
  return result;
}

/** As `torture`, but a failure is part of what it returns. @throws ScenarioError */
export async function tortureReport(
  scenario: URL | string,
  options: TortureOptions = {},
): Promise<TortureResult> {
  checkOptions(options);
  const url = scenario instanceof URL ? scenario : pathToFileURL(scenario);
  const file = shownPath(fileURLToPath(url));
  if (!existsSync(url)) throw new ScenarioError(`${file}: no such file`);
  const workers: Worker[] = [];
  try {
    return await supervise(await open(url, options, workers), options);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The frames of the code under test, indented. */
function stackLines(stack: string): string[] {
  return shownStack(readFrames(stack)).map((line) => `      ${line}`);
}

/** A run as text: one line when it held; message, place and threads when it did not. */
export function formatTorture(result: TortureResult): string {
  const { rounds, seconds, seed, threads, failure, interrupted } = result;
  const how = `${rounds} rounds, ${threads.length} threads, ${seconds.toFixed(1)} s, seed ${seed}`;
  if (failure === null) return `held: ${how}${interrupted ? ', interrupted' : ''}\n`;
  const who = failure.thread === null ? '' : ` in ${threads[failure.thread]}`;
  const lines = [`FAILED (${failure.kind}${who}) in round ${failure.round}: ${failure.message}`];
  lines.push(`  ${how}`);
  lines.push(...stackLines(failure.stack));
  for (const [at, thread] of failure.threads.entries()) {
    lines.push(`  thread ${at} ${thread.name}: ${thread.doing}`);
    if (thread.stack !== failure.stack) lines.push(...stackLines(thread.stack));
  }
  return `${lines.join('\n')}\n`;
}
