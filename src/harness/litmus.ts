// SPDX-License-Identifier: MIT
/**
 * `litmus`: runs a litmus test (litmus_test.ts) on real threads, millions of times, and says which
 * outcomes were seen and which of them the ECMAScript memory model allows.
 *
 * It shows what the machine and the engine do, which `explore` cannot: there, one thread runs at a
 * time and every access is in order. What it does not show may still happen on another machine: an
 * x86-64 core reorders little, so an interesting outcome with count 0 is no promise.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { scheduler } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { I32 } from '../../shared/types.ts';
import { BARRIER_SPIN, BARRIER_SPIN_SHORT, barrierTurns } from './barrier.ts';
import {
  L_BARRIER,
  L_STOP,
  litmusBatchMax,
  litmusCellBytes,
  litmusControlWords,
} from './litmus_batch.ts';
import type { DescribeRequest, LitmusDescription } from './litmus_describe.ts';
import { type LitmusPlace, type LitmusShape, shapeOf, sourceOf } from './litmus_load.ts';
import { formatLitmus, type LitmusResult, litmusRows } from './litmus_table.ts';
import { type AnyLitmusTest, LitmusUsageError } from './litmus_test.ts';
import type { LitmusTally, LitmusWorkerData } from './litmus_worker.ts';
import { shownPath } from './stack_frames.ts';

/** Which test: its file; one of a file's list; or a definition whose functions use globals only. */
export type LitmusInput = URL | { readonly module: URL; readonly test: string } | AnyLitmusTest;

/** How long, on what. Whichever bound comes first ends it. */
export interface LitmusOptions {
  /** Default 1, or no bound where `rounds` is given. */
  readonly seconds?: number;
  /** Batches of up to 2048 instances. */
  readonly rounds?: number;
  /** Threads in all: so many copies of the test run side by side as fit. Default: one copy. */
  readonly threads?: number;
  /** Of layouts, orders and starts. Default 1. */
  readonly seed?: number;
  /** Aborting it ends the test after the batch that runs. */
  readonly signal?: AbortSignal;
  /** A batch that takes longer is a hang, in milliseconds. Default 10,000. */
  readonly hangMs?: number;
}

interface Loaded {
  readonly shape: LitmusShape;
  readonly place: LitmusPlace;
}

function placeText({ url, source }: LitmusPlace): string {
  return url === null ? String(source?.settings.name) : shownPath(fileURLToPath(url));
}

/** Workers may take so long to load. */
const START_MS = 30_000;

/** Asks a worker what a module has. @throws LitmusUsageError */
async function describe(names: boolean, place: LitmusPlace): Promise<LitmusDescription> {
  const over = new AbortController();
  const request: DescribeRequest = { names, place };
  const url = new URL('./litmus_describe.js', import.meta.url);
  const worker = new Worker(url, { workerData: request });
  try {
    const answer = await new Promise<LitmusDescription>((resolve, reject) => {
      const late = () =>
        reject(new LitmusUsageError(`${placeText(place)}: does not load in ${START_MS / 1000} s`));
      scheduler.wait(START_MS, { signal: over.signal }).then(late, () => {});
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () =>
        reject(new LitmusUsageError(`${placeText(place)}: ended its thread as it loaded`)),
      );
    });
    if ('wrong' in answer) {
      const where = placeText(place);
      const named = answer.wrong.includes(where);
      throw new LitmusUsageError(named ? answer.wrong : `${where}: ${answer.wrong}`);
    }
    return answer;
  } finally {
    over.abort();
    await worker.terminate();
  }
}

function placeOf(url: URL, which: string | null): LitmusPlace {
  if (existsSync(url)) return { url: url.href, which, source: null };
  throw new LitmusUsageError(`${shownPath(fileURLToPath(url))}: no such file`);
}

/**
 * The tests of a file.
 * @returns the names of its list, or null alone where the file is one test
 * @throws LitmusUsageError when it does not load
 */
export async function litmusNames(url: URL): Promise<readonly (string | null)[]> {
  const answer = await describe(true, placeOf(url, null));
  return 'names' in answer ? answer.names : [];
}

async function load(input: LitmusInput): Promise<Loaded> {
  if (!(input instanceof URL) && !('module' in input)) {
    const place = { url: null, which: null, source: sourceOf(input) };
    return { place, shape: shapeOf(input) };
  }
  const [url, which] = input instanceof URL ? [input, null] : [input.module, input.test];
  const place = placeOf(url, which);
  const answer = await describe(false, place);
  if ('shape' in answer) return { place, shape: answer.shape };
  throw new LitmusUsageError(`${url.pathname}: is no litmus test`);
}

const POLL_MS = 20;

/** One set of threads that runs the test. */
class LitmusGroup {
  readonly control: I32;
  readonly #workers: Worker[] = [];
  readonly #done: Promise<LitmusTally>[] = [];

  constructor(loaded: Loaded, options: LitmusOptions, group: number, spin: number) {
    const { shape, place } = loaded;
    const { threads, registers } = shape;
    const sab = (bytes: number) => new SharedArrayBuffer(bytes);
    this.control = new Int32Array(sab(litmusControlWords(threads) * 4));
    const common = {
      place,
      control: this.control,
      cells: sab(litmusCellBytes(shape)),
      out: new Int32Array(sab(litmusBatchMax(shape) * registers * threads * 4)),
      seed: ((options.seed ?? 1) + group) | 0,
      batches: options.rounds ?? Infinity,
      ms: 1000 * (options.seconds ?? (options.rounds === undefined ? 1 : Infinity)),
      spin,
    };
    for (let thread = 0; thread < threads; thread++) {
      const workerData: LitmusWorkerData = { ...common, thread };
      this.#start(
        new Worker(new URL('./litmus_worker.js', import.meta.url), { workerData }),
        shape.name,
      );
    }
  }

  #start(worker: Worker, test: string): void {
    this.#workers.push(worker);
    const done = new Promise<LitmusTally>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', ({ name, message }) =>
        reject(new LitmusUsageError(`${test}: a thread threw ${name}: ${message}`)),
      );
      worker.once('exit', () => reject(new LitmusUsageError(`${test}: a thread ended early`)));
    });
    done.catch(() => {}); // awaited together
    this.#done.push(done);
  }

  tallies(): Promise<LitmusTally[]> {
    return Promise.all(this.#done);
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** Rejects when no group's barrier has turned for so long. */
async function watch(
  groups: readonly LitmusGroup[],
  hangMs: number,
  over: AbortSignal,
): Promise<never> {
  const turns = () =>
    groups.reduce((sum, { control }) => sum + barrierTurns(control, L_BARRIER), 0);
  // A worker takes its time to load: what is timed are batches.
  for (let ms = 0; turns() === 0 && ms < START_MS; ms += POLL_MS) {
    await scheduler.wait(POLL_MS, { signal: over });
  }
  for (;;) {
    const before = turns();
    await scheduler.wait(hangMs, { signal: over });
    if (turns() === before)
      throw new LitmusUsageError(`no batch ended for ${hangMs} ms: a thread hangs`);
  }
}

async function runGroups(
  groups: readonly LitmusGroup[],
  options: LitmusOptions,
): Promise<LitmusTally[]> {
  const over = new AbortController();
  const stop = () => {
    for (const { control } of groups) Atomics.store(control, L_STOP, 1);
  };
  if (options.signal?.aborted === true) stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const watched = watch(groups, options.hangMs ?? 10_000, over.signal);
  try {
    const all = Promise.all(groups.map((group) => group.tallies()));
    return (await Promise.race([all, watched])).flat();
  } finally {
    over.abort();
    options.signal?.removeEventListener('abort', stop);
    await watched.catch(() => {});
    await Promise.all(groups.map((group) => group.end()));
  }
}

function add(tallies: readonly LitmusTally[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { outcomes } of tallies) {
    for (const [outcome, count] of outcomes) {
      counts.set(outcome, (counts.get(outcome) ?? 0) + count);
    }
  }
  return counts;
}

/** A forbidden outcome was seen: the message is the table. */
export class LitmusError extends Error {
  override readonly name = 'LitmusError';
  readonly result: LitmusResult;

  constructor(result: LitmusResult) {
    super(formatLitmus(result).trimEnd());
    this.result = result;
  }
}

/**
 * Runs a litmus test on real threads.
 * @param input file, one test of a file's list, or a definition
 * @returns what was seen, when nothing of it is forbidden
 * @throws LitmusError when something is; LitmusUsageError for what is no litmus test, and where a
 * thread function throws or hangs
 * @context the thread must be free to handle events; workers are started and ended
 */
export async function litmus(
  input: LitmusInput,
  options: LitmusOptions = {},
): Promise<LitmusResult> {
  const result = await litmusReport(input, options);
  if (!result.passed) throw new LitmusError(result);
  return result;
}

const BOUNDS: readonly (readonly [keyof LitmusOptions, number, number])[] = [
  ['seconds', 0.001, 1e7],
  ['rounds', 1, 1e12],
  ['threads', 1, 64],
  ['seed', 0, 2 ** 32 - 1],
  ['hangMs', 1, 1e9],
];

function checkOptions(options: LitmusOptions): void {
  for (const [name, low, high] of BOUNDS) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value === 'number' && value >= low && value <= high) continue;
    throw new LitmusUsageError(`${name}: ${String(value)}; give a number from ${low} to ${high}`);
  }
}

/** As `litmus`, but a forbidden outcome is part of what it returns. @throws LitmusUsageError */
export async function litmusReport(
  input: LitmusInput,
  options: LitmusOptions = {},
): Promise<LitmusResult> {
  checkOptions(options);
  const loaded = await load(input);
  const { shape } = loaded;
  const { threads } = shape;
  const copies = Math.max(1, Math.floor((options.threads ?? threads) / threads));
  const cores = availableParallelism();
  const spin = copies * threads <= cores ? BARRIER_SPIN : BARRIER_SPIN_SHORT;
  const indices = Array.from({ length: copies }, (_, index) => index);
  const groups = indices.map((index) => new LitmusGroup(loaded, options, index, spin));
  const tallies = await runGroups(groups, options);
  const counts = add(tallies);
  const samples = tallies.reduce((sum, tally) => sum + tally.samples, 0);
  const seconds = Math.max(...tallies.map(({ ns }) => ns)) / 1e9;
  const chunks = tallies.reduce((sum, tally) => sum + tally.chunks, 0);
  const paced = tallies.reduce((sum, tally) => sum + tally.paced, 0);
  const rows = litmusRows(counts, shape.allowed, shape.interesting, shape.forbidden);
  return {
    name: shape.name,
    question: shape.question,
    passed: rows.every(({ verdict, count }) => verdict !== 'forbidden' || count === 0),
    interrupted: options.signal?.aborted === true,
    samples,
    seconds,
    samplesPerSecond: seconds > 0 ? samples / seconds : 0,
    sideBySide: chunks > 0 ? paced / chunks : 0,
    threads: copies * threads,
    seed: options.seed ?? 1,
    rows,
    node: process.version,
    arch: process.arch,
  };
}
