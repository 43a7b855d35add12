// SPDX-License-Identifier: GPL-2.0-only
/** A machine whose threads share one core of the host, by util-linux's taskset. */
import { spawnSync } from 'node:child_process';
import process from 'node:process';

/** @returns what taskset says; null where there is no such program, or it fails */
function taskset(...args: readonly string[]): string | null {
  const { status, stdout } = spawnSync('taskset', ['-p', '-c', ...args, String(process.pid)], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout : null;
}

/** @returns cores that this thread may use, as taskset lists them; null where nobody can say */
function coresNow(): string | null {
  return taskset()?.match(/: ([\d,-]+)\s*$/)?.[1] ?? null;
}

/** Can threads be kept on one core here? */
export function canUseOneCore(): boolean {
  return coresNow() !== null;
}

/**
 * Runs `body` with this thread, and all threads that it starts, on the first of its cores. Threads
 * that run already stay where they are: Node's own, which collect and compile.
 * @throws Error where there is no taskset
 * @context main thread
 */
export async function onOneCore<T>(body: () => Promise<T>): Promise<T> {
  const cores = coresNow();
  const first = cores?.match(/^\d+/)?.[0];
  if (cores === null || first === undefined || taskset(first) === null) {
    throw new Error('taskset cannot keep threads on one core');
  }
  try {
    return await body();
  } finally {
    taskset(cores);
  }
}
