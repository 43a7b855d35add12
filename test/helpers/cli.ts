// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim` as a user starts it. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The program, as built. */
export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Sends SIGINT once this is in the progress. */
  readonly interruptAt?: string | undefined;
}

/** Runs `kreclaim`, in a folder, to its end. */
export function runCli(
  cwd: string,
  args: readonly string[],
  { env, interruptAt }: CliOptions = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  let sent = false;
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
    if (sent || interruptAt === undefined || !stderr.includes(interruptAt)) return;
    sent = true;
    child.kill('SIGINT');
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
