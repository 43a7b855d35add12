// SPDX-License-Identifier: GPL-2.0-only
/** Fault injection on the command line: `--fault NAME=1/N[:interval=I][:times=T][,...]`. */
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import { FAULT_NAMES, type FaultAttr, type FaultConfig, MODEST_FAULTS } from '../mm/faults.ts';

/** What commander collects for the options below. */
export interface FaultFlags {
  readonly fault?: readonly string[];
  readonly faults?: true;
  readonly faultSeed?: string;
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), ...value.split(',')];
}

/** Adds the options to a command. */
export function addFaultOptions(command: Command): void {
  command
    .option(
      '--fault <name=1/n>',
      `inject a fault at one call in N, more by commas: ${FAULT_NAMES.join(', ')}`,
      collect,
    )
    .option('--faults', 'inject all of them, at modest rates')
    .option('--fault-seed <n>', 'draws the faults (default: the seed)');
}

const FAULT = /^([a-z_]+)=1\/([1-9]\d{0,8})((?::(?:interval|times)=\d{1,9})*)$/;

function parseFault(text: string): [string, FaultAttr] {
  const match = FAULT.exec(text.trim());
  const name = match?.[1] ?? '';
  if (match === null || !(FAULT_NAMES as readonly string[]).includes(name)) {
    const known = FAULT_NAMES.join(', ');
    const shown = oneLine(text, 60);
    throw new UsageError(`--fault: '${shown}' will not do; give NAME=1/N with NAME of ${known}`);
  }
  const more = Object.fromEntries(
    (match[3] as string).split(':').map((part) => part.split('=') as [string, string]),
  );
  const interval = Math.max(1, Number(more.interval ?? 1));
  const times = more.times === undefined ? null : Number(more.times);
  return [name, { oneIn: Number(match[2]), interval, times }];
}

/**
 * The faults that the options name: all at modest rates, then those given one by one.
 * @returns undefined where they name none
 * @throws UsageError
 */
export function faultConfig(flags: FaultFlags): FaultConfig | undefined {
  if (flags.fault === undefined && flags.faults !== true) return undefined;
  const base = flags.faults === true ? MODEST_FAULTS : {};
  return { ...base, ...Object.fromEntries((flags.fault ?? []).map(parseFault)) };
}

/** @returns the options that name these faults again, for a line that replays a run */
export function faultArguments(faults: FaultConfig | null, seed: number): string[] {
  if (faults === null) return [];
  const parts = Object.entries(faults).map(([name, { oneIn, interval, times }]) => {
    const every = interval === 1 ? '' : `:interval=${interval}`;
    return `${name}=1/${oneIn}${every}${times === null ? '' : `:times=${times}`}`;
  });
  return ['--fault', parts.join(','), '--fault-seed', String(seed)];
}
