// SPDX-License-Identifier: GPL-2.0-only
/** Commands and options that are planned and not there yet: they say so, and the exit code is 2. */
import { type Command, Option } from 'commander';
import { UsageError } from '../errors.ts';

/** @throws UsageError, always */
export function notYet(what: string): never {
  throw new UsageError(`${what} is not in this version yet`);
}

const COMMANDS: readonly (readonly [string, string])[] = [['report', 'a run report as HTML']];

/** Registers commands that only say that they are not there. */
export function registerLaterCommands(program: Command): void {
  for (const [name, description] of COMMANDS) {
    program
      .command(name)
      .description(`${description} (not in this version yet)`)
      .argument('[args...]')
      .allowUnknownOption()
      .action(() => notYet(name));
  }
}

/** Policies of designs that are not there: `off` is what runs. */
const POLICIES = ['klruscand'] as const;
const OUTPUTS = ['html', 'perfetto'] as const;

/** Adds the options of `run` that later versions fill in; hidden from its help. */
export function addLaterOptions(command: Command): void {
  for (const name of [...POLICIES, ...OUTPUTS]) {
    command.addOption(new Option(`--${name} <value>`).hideHelp());
  }
}

/** @throws UsageError when one of them is asked for */
export function refuseLaterOptions(options: Readonly<Record<string, unknown>>): void {
  for (const name of POLICIES) {
    if (options[name] !== undefined && options[name] !== 'off') {
      notYet(`--${name} ${String(options[name])}`);
    }
  }
  for (const name of OUTPUTS) if (options[name] !== undefined) notYet(`--${name}`);
}
