// SPDX-License-Identifier: GPL-2.0-only
/**
 * Ctrl-C, and SIGTERM: the first asks the run to drain and report, the second ends the process at
 * once. Commands that have nothing to report end at the first.
 */
import process from 'node:process';
import { ktimeNs } from '../../shared/ktime.ts';

/** Signals that interrupt, and the exit code of a command that one has interrupted. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Commands that drain and report. */
const REPORTING: readonly (string | undefined)[] = [
  'run',
  'demo',
  'reproduce',
  'explore',
  'torture',
  'bench',
  'compare',
];

/**
 * One Ctrl-C may arrive twice: from the terminal, and passed on by npm or a shell's job control.
 * The second counts from here on, in ms.
 */
const SECOND_MS = 300;

const controller = new AbortController();
let firstNs = Number.NaN;
let exitCode: number = EXIT_CODES.SIGINT;

/** Aborted by the first interrupt. */
export const interruptSignal: AbortSignal = controller.signal;

/** @returns the exit code of an interrupted command: 130, or 143 after SIGTERM */
export function interruptedExitCode(): number {
  return exitCode;
}

/** @param command first word of the command line @context once, before anything else */
export function takeSignals(command: string | undefined): void {
  const reports = REPORTING.includes(command);
  const take = (code: number): void => {
    const first = Number.isNaN(firstNs);
    if (!reports) process.exit(code);
    if (!first && ktimeNs() - firstNs > SECOND_MS * 1e6) process.exit(code);
    if (!first) return;
    firstNs = ktimeNs();
    exitCode = code;
    if (process.stderr.isTTY) process.stderr.write('\nkreclaim: draining; Ctrl-C again ends now\n');
    controller.abort(new Error('interrupted'));
  };
  for (const [signal, code] of Object.entries(EXIT_CODES)) process.on(signal, () => take(code));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
