// SPDX-License-Identifier: GPL-2.0-only
/**
 * The command line as a whole: which commands there are, and what an error looks like. Exit codes:
 * 0 held, 1 an invariant or integrity check failed, 2 bad usage or input, 3 the machine panicked or
 * hung, 130 interrupted, 143 by SIGTERM.
 */
import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { optionFlag } from '../config_schema.ts';
import { UsageError } from '../errors.ts';
import { MachineBootError } from '../machine_errors.ts';
import { packageVersion } from '../run.ts';
import { registerBenchCommand } from './bench_command.ts';
import { registerCatCommand } from './cat_command.ts';
import { registerCompareCommand } from './compare_command.ts';
import { registerExploreCommand } from './explore_command.ts';
import { registerLaterCommands } from './later.ts';
import { registerReproduceCommand } from './reproduce_command.ts';
import { registerRunCommands } from './run_command.ts';
import { registerTortureCommand } from './torture_command.ts';
import { registerTraceCommand } from './trace_command.ts';

const EXIT_USAGE = 2;
const EXIT_PANIC = 3;

const HINT = '\nFirst steps: kreclaim run quick (five seconds, needs no file); kreclaim demo.';

function buildProgram(): Command {
  const program = new Command('kreclaim')
    .description('Linux page reclaim in user space, on real threads')
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', HINT)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  registerRunCommands(program);
  registerTraceCommand(program);
  registerCatCommand(program);
  registerCompareCommand(program);
  registerReproduceCommand(program);
  registerBenchCommand(program);
  registerExploreCommand(program);
  registerTortureCommand(program);
  registerLaterCommands(program);
  for (const command of program.commands) inheritSettings(program, command);
  return program;
}

/** Commands made by others take over how this program reports errors. */
function inheritSettings(from: Command, command: Command): void {
  command.copyInheritedSettings(from);
  for (const sub of command.commands) inheritSettings(from, sub);
}

/** One line to standard error. */
function complain(message: string): void {
  const [first = ''] = message.split('\n');
  process.stderr.write(`kreclaim: ${first}\n`);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    complain(error.message.replace(/^error: /, '').replace('\n', ' '));
    return EXIT_USAGE;
  }
  if (error instanceof UsageError) {
    complain(error.message.replace(/^(\w+):/, (whole, name: string) => optionFlag(name) ?? whole));
    return EXIT_USAGE;
  }
  if (error instanceof MachineBootError) {
    process.stderr.write(`kreclaim: ${error.message}\n`);
    return EXIT_PANIC;
  }
  throw error;
}

/**
 * Runs the command line.
 * @param args without the interpreter and the script @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = buildProgram();
  if (args.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    return exitCodeOf(error);
  }
  return Number(process.exitCode ?? 0);
}
