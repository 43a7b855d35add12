// SPDX-License-Identifier: GPL-2.0-only
/** How commands of `reproduce` end. */
import process from 'node:process';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';

/** Exit code when a machine broke. */
const EXIT_PANIC = 3;

/** Says so when others want the cores too. @param then what follows for the figures */
export function loadLine(load: number, cores: number, then: string): string {
  const line = `load of the machine before: ${load.toFixed(1)} on ${cores} cores`;
  return load <= cores / 2 ? line : `${line}: it was busy, and ${then} for it`;
}

/** @returns the exit code; what broke a machine is said on stderr */
export function exitOf(result: {
  readonly failure: Error | null;
  readonly violations: readonly string[];
}): number {
  if (result.failure !== null) {
    process.stderr.write(`kreclaim: ${result.failure.message}\n`);
    return EXIT_PANIC;
  }
  if (interruptSignal.aborted) return interruptedExitCode();
  return result.violations.length > 0 ? 1 : 0;
}
