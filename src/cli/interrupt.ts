// SPDX-License-Identifier: GPL-2.0-only
/**
 * Ctrl-C: the first asks the run to drain and report, the second ends the process at once. Commands
 * that have nothing to report end at the first.
 */
import process from 'node:process';
import { ktimeNs } from '../../shared/ktime.ts';

/** Exit code of an interrupted command. */
export const EXIT_INTERRUPTED = 130;

/** Commands that drain and report. */
const REPORTING: readonly (string | undefined)[] = [
  'run',
  'demo',
  'reproduce',
  'explore',
  'torture',
  'compare',
];

/**
 * One Ctrl-C may arrive twice: from the terminal, and passed on by npm or a shell's job control.
 * The second counts from here on, in ms.
 */
const SECOND_MS = 300;

const controller = new AbortController();
let firstNs = Number.NaN;

/** Aborted by the first interrupt. */
export const interruptSignal: AbortSignal = controller.signal;

/** @param command first word of the command line @context once, before anything else */
export function takeSignals(command: string | undefined): void {
  const reports = REPORTING.includes(command);
  process.on('SIGINT', () => {
    const first = Number.isNaN(firstNs);
    if (!reports) process.exit(EXIT_INTERRUPTED);
    if (!first && ktimeNs() - firstNs > SECOND_MS * 1e6) process.exit(EXIT_INTERRUPTED);
    if (!first) return;
    firstNs = ktimeNs();
    if (process.stderr.isTTY) process.stderr.write('\nkreclaim: draining; Ctrl-C again ends now\n');
    controller.abort(new Error('interrupted'));
  });
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
