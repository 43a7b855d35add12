// SPDX-License-Identifier: GPL-2.0-only
/** Folders of the host that are there while a machine runs: its programs' files lie in them. */
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { threadId } from 'node:worker_threads';
import { fileError } from './workload/trace_bytes.ts';

let last = 0;

/** @returns the path of a temporary folder, which nothing else has and which is not there yet */
export function folderName(): string {
  return join(tmpdir(), `kreclaim-${process.pid}-${threadId}-${++last}`);
}

/**
 * Makes the folders, runs, and removes them with all that is in them, also when the process exits
 * meanwhile.
 * @throws UsageError for a folder that cannot be made; what `run` throws
 */
export async function withFolders<T>(
  folders: readonly string[],
  run: () => Promise<T>,
): Promise<T> {
  const remove = (): void => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  };
  if (folders.length === 0) return run();
  process.on('exit', remove);
  try {
    for (const folder of folders) {
      try {
        mkdirSync(folder, { recursive: true });
      } catch (error) {
        throw fileError(folder, error);
      }
    }
    return await run();
  } finally {
    process.off('exit', remove);
    remove();
  }
}
