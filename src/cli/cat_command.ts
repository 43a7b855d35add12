// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim cat RUN.json PATH`: a file of /proc or /sys as a run left it. */
import process from 'node:process';
import type { Command } from 'commander';
import * as v from 'valibot';
import { inputError, oneLine } from '../errors.ts';
import { readFileBytes } from '../workload/trace_bytes.ts';

const REPORT = v.object({
  schema: v.literal('kreclaim.run/1'),
  proc: v.record(v.string(), v.string()),
});

const HINT = 'give a report that kreclaim run --json wrote';

async function readProc(file: string): Promise<Record<string, string>> {
  const text = (await readFileBytes(file)).toString('utf8');
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    const reason = `not JSON: ${(error as Error).message}`;
    throw inputError({ file, reason, hint: HINT });
  }
  const result = v.safeParse(REPORT, data);
  if (result.success) return result.output.proc;
  throw inputError({ file, reason: 'not a run report', hint: HINT });
}

async function catAction(file: string, path: string | undefined): Promise<void> {
  const proc = await readProc(file);
  if (path === undefined) {
    process.stdout.write(`${Object.keys(proc).join('\n')}\n`);
    return;
  }
  const text = Object.hasOwn(proc, path) ? proc[path] : undefined;
  if (text === undefined) {
    const reason = `has no ${oneLine(path, 100)}`;
    throw inputError({ file, reason, hint: `kreclaim cat ${file} lists what it has` });
  }
  process.stdout.write(text);
}

/** Adds `cat` to the program. */
export function registerCatCommand(program: Command): void {
  program
    .command('cat')
    .description('show a file of /proc or /sys from a run report; without PATH, list them')
    .argument('<report>', 'report of kreclaim run --json')
    .argument('[path]', 'such as /proc/vmstat')
    .action(catAction);
}
