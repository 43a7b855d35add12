// SPDX-License-Identifier: GPL-2.0-only
/** The command that runs a deterministic machine again, from the one that was given. */
import type { FaultConfig } from '../mm/faults.ts';
import { faultArguments } from './fault_options.ts';

/** Options that the line gives itself, or that change nothing of the run: with a value, without. */
const DROPPED = ['--seed', '--seeds', '--jobs', '--mode', '--json', '--fault', '--fault-seed'];
const DROPPED_BARE = ['--faults', '-q', '--quiet'];

function quoted(argument: string): string {
  return /^[\w./=:,%@+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/**
 * @param args of the command line, its command first
 * @param faults null for none @returns one line for a shell
 */
export function replayLine(
  args: readonly string[],
  seed: number,
  faults: FaultConfig | null,
  faultSeed: number,
): string {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] as string;
    const name = argument.split('=')[0] as string;
    if (DROPPED_BARE.includes(argument)) continue;
    if (DROPPED.includes(name)) {
      if (name === argument) i++;
      continue;
    }
    kept.push(quoted(argument));
  }
  const drawn = ['--mode', 'deterministic', '--seed', String(seed)];
  return ['kreclaim', ...kept, ...drawn, ...faultArguments(faults, faultSeed)].join(' ');
}
