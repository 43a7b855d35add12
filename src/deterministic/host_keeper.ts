// SPDX-License-Identifier: GPL-2.0-only
/**
 * A host that waits for its next machine, between two runs of one thread. Its workers have run
 * their threads already, with their code compiled: a short machine takes a third of the time.
 *
 * Only hosts that start from bundles are kept: of the package's own modules it is known that they
 * carry nothing from one machine to the next (thread_workers.ts). A seed is the same machine in a
 * kept host as in one of its own.
 */
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import type { HostFiles } from '../bundle.ts';
import type { HostData } from './messages.ts';

/** Node refuses a worker flags that are the process's: it has those anyway. */
const REFUSED = /invalid execArgv flags: (.*)$/;

function newHost(host: string, data: HostData, execArgv: readonly string[]): Worker {
  return new Worker(new URL(host), {
    workerData: data,
    name: 'host',
    // As the supervisor's: a thread started from one that keeps track of files does so too.
    trackUnmanagedFds: false,
    execArgv: [...execArgv],
  });
}

/** Starts a host with its first machine. */
export function startHost({ host, preload }: HostFiles, data: HostData): Worker {
  // Ours first: what the user preloads finds the patched functions.
  const flags = ['--import', preload, ...process.execArgv];
  try {
    return newHost(host, data, flags);
  } catch (error) {
    const refused = REFUSED.exec((error as Error).message)?.[1]?.split(', ');
    if (refused === undefined) throw error;
    const goes = (flag: string | undefined): boolean => refused.includes(flag ?? '');
    // With its value, where that is an argument of its own.
    const given = flags.filter((flag, i) => {
      return !goes(flag) && (flag.startsWith('-') || !goes(flags[i - 1]));
    });
    return newHost(host, data, given);
  }
}

/** A host is ended after so many machines: what V8 keeps of each is little, but adds up. */
const MACHINES_MAX = 100;

/**
 * Keeps a host, at most, for one machine at a time. It keeps no process alive while it waits.
 * @context one thread
 */
export class HostKeeper {
  #waiting: Worker | null = null;
  /** Machines that the host has had. */
  #machines = 0;

  /** Runs a machine in the host that waits, or in a new one. */
  start(files: HostFiles, data: HostData): Worker {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) {
      this.#machines = 1;
      return startHost(files, data);
    }
    this.#machines++;
    waiting.ref();
    waiting.postMessage(data);
    return waiting;
  }

  /**
   * Takes a host back, which waits for its next machine; who listened to it listens no more. One
   * that has had its share is ended, and so is the second of two that ran at once.
   */
  async keep(worker: Worker): Promise<void> {
    if (this.#machines >= MACHINES_MAX || this.#waiting !== null) {
      await worker.terminate();
      return;
    }
    // One by one: with all, those go by which Node knows whether anybody listens.
    for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
    this.#waiting = worker;
    // One that dies while it waits is nobody's loss: the next machine has another.
    const drop = (): void => {
      if (this.#waiting === worker) this.#waiting = null;
    };
    worker.once('error', drop);
    worker.once('exit', drop);
    worker.unref();
  }

  /** Ends the host that waits, if there is one. */
  async end(): Promise<void> {
    await this.#waiting?.terminate();
  }
}
