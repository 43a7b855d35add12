// SPDX-License-Identifier: GPL-2.0-only
/**
 * The command line as a whole: which commands there are, and what an error looks like. Exit codes:
 * 0 held, 1 an invariant or integrity check failed, 2 bad usage or input, 3 the machine panicked or
 * hung, 130 interrupted, 143 by SIGTERM.
 */
import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { runBundle } from '../bundle.ts';
import { optionFlag } from '../config_schema.ts';
import { UsageError } from '../errors.ts';
import { MachineBootError } from '../machine_errors.ts';
import { packageVersion } from '../version.ts';
import { registerLaterCommands } from './later.ts';

const EXIT_USAGE = 2;
const EXIT_PANIC = 3;

const HINT = '\nFirst steps: kreclaim run quick (five seconds, needs no file); kreclaim demo.';

type Register = (program: Command) => void;
type Load = (args: readonly string[]) => Promise<Register>;
type RunCommand = typeof import('./run_command.ts');

async function runCommand(args: readonly string[]): Promise<RunCommand> {
  const url = runBundle(args);
  return url === null ? await import('./run_command.ts') : ((await import(url)) as RunCommand);
}

/** Commands in the order of the help, and what registers them: loaded for these or for the help. */
const COMMANDS: readonly (readonly [names: string, load: Load])[] = [
  ['run demo', async (args) => (await runCommand(args)).registerRunCommands],
  ['trace', async () => (await import('./trace_command.ts')).registerTraceCommand],
  ['cat', async () => (await import('./cat_command.ts')).registerCatCommand],
  ['compare', async () => (await import('./compare_command.ts')).registerCompareCommand],
  ['reproduce', async () => (await import('./reproduce_command.ts')).registerReproduceCommand],
  ['bench', async () => (await import('./bench_command.ts')).registerBenchCommand],
  ['explore', async () => (await import('./explore_command.ts')).registerExploreCommand],
  ['torture', async () => (await import('./torture_command.ts')).registerTortureCommand],
];

/** @param args the command line: where it begins with a command's name, others are left out */
async function buildProgram(args: readonly string[]): Promise<Command> {
  const [first = ''] = args;
  const program = new Command('kreclaim')
    .description('Linux page reclaim in user space, on real threads')
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', HINT)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const named = COMMANDS.filter(([names]) => names.split(' ').includes(first));
  for (const [, load] of named.length > 0 ? named : COMMANDS) (await load(args))(program);
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
  const program = await buildProgram(args);
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
