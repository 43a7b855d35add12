// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where results go: text to standard output, JSON to a file or, for `-`, alone to standard output.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import { fileError, writeFileAtomic } from '../workload/trace_bytes.ts';

/** Help of `--json`. */
export const JSON_HELP = "write the result as JSON to FILE, or '-' for standard output";

/**
 * Finds out before a long run whether its result could be written.
 * @throws UsageError when it could not
 */
export async function checkWritable(json: string | undefined): Promise<void> {
  if (json === undefined || json === '-') return;
  try {
    await access(dirname(json), constants.W_OK);
    const there = await stat(json).catch(() => null);
    if (there?.isDirectory()) throw Object.assign(new Error(json), { code: 'EISDIR' });
  } catch (error) {
    throw fileError(json, error);
  }
}

/**
 * Shows a result. With JSON on standard output, the text goes to standard error.
 * @param json file, `-`, or undefined for none
 * @throws UsageError where the file cannot be written; nothing half-written is left
 */
export async function emitResult(
  result: object,
  text: string,
  json: string | undefined,
): Promise<void> {
  if (json === '-') {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    process.stderr.write(text);
    return;
  }
  process.stdout.write(text);
  if (json !== undefined) {
    await writeFileAtomic(json, Buffer.from(`${JSON.stringify(result, null, 2)}\n`));
  }
}
