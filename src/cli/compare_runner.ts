// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where the runs of a comparison are made.
 *
 *   parallel        a child process for each run: times are those of a process as `run` has it
 *   deterministic   threads of a pool: the outcome depends on the seed alone, and no start is paid
 */
import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import type { Piscina } from 'piscina';
import { oneLine } from '../errors.ts';
import type { CompareOutcome, CompareTask } from './compare_task.ts';

/** Makes runs until it is closed. */
export interface CompareRunner {
  readonly run: (task: CompareTask, signal: AbortSignal) => Promise<CompareOutcome>;
  readonly close: () => Promise<void>;
}

/** Characters of a child's complaint that are kept. */
const COMPLAINT_CHARS = 4000;

const INTERRUPTED: CompareOutcome = { kind: 'interrupted', message: 'interrupted' };

/** Waits for a child's outcome, or for its end. */
function outcomeOf(child: ChildProcess, signal: AbortSignal): Promise<CompareOutcome> {
  return new Promise((resolve, reject) => {
    let outcome: CompareOutcome | null = null;
    let complaint = '';
    child.stderr?.on('data', (text: Buffer) => {
      complaint = (complaint + text.toString()).slice(-COMPLAINT_CHARS);
    });
    child.once('message', (message) => {
      outcome = message as CompareOutcome;
    });
    child.once('error', reject);
    child.once('close', (code, signalName) => {
      if (outcome !== null) return resolve(outcome);
      if (signal.aborted) return resolve(INTERRUPTED);
      const lines = complaint.split('\n').filter((line) => /\w/.test(line));
      const said = lines.find((line) => /Error\b/.test(line)) ?? lines.at(-1) ?? 'it said nothing';
      const end = signalName === null ? `code ${code}` : signalName;
      resolve({ kind: 'dead', message: `the process ended with ${end}: ${oneLine(said)}` });
    });
  });
}

/** A child process for each run. */
export class ChildRunner implements CompareRunner {
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  constructor() {
    process.on('exit', this.#onExit);
  }

  readonly run = async (task: CompareTask, signal: AbortSignal): Promise<CompareOutcome> => {
    const child = fork(new URL('./compare_child.js', import.meta.url), [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    // A terminal tells the whole group; a child takes two of them in a moment as one.
    const pass = (): void => void child.kill('SIGINT');
    signal.addEventListener('abort', pass);
    this.#children.add(child);
    try {
      const outcome = outcomeOf(child, signal);
      child.send(task, () => {
        // A child that is gone by now is seen by its end.
      });
      return await outcome;
    } finally {
      this.#children.delete(child);
      signal.removeEventListener('abort', pass);
    }
  };

  readonly close = async (): Promise<void> => {
    process.off('exit', this.#onExit);
  };
}

/** Threads of a pool, one machine on each. */
export class PoolRunner implements CompareRunner {
  readonly #pool: Piscina;

  /** @param pool with `compare_task.js` */
  constructor(pool: Piscina) {
    this.#pool = pool;
  }

  readonly run = async (task: CompareTask, signal: AbortSignal): Promise<CompareOutcome> => {
    try {
      return (await this.#pool.run(task, { name: 'runTask', signal })) as CompareOutcome;
    } catch (error) {
      if (signal.aborted) return INTERRUPTED;
      throw error;
    }
  };

  readonly close = (): Promise<void> => this.#pool.destroy();
}

/** @param jobs machines at once */
export async function makeRunner(mode: string, jobs: number): Promise<CompareRunner> {
  if (mode !== 'deterministic') return new ChildRunner();
  const { Piscina } = await import('piscina');
  const filename = new URL('./compare_task.js', import.meta.url).href;
  return new PoolRunner(new Piscina({ filename, minThreads: jobs, maxThreads: jobs }));
}
