// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim bench [GROUP]`: benchmarks as ratios to their peers, measured in the same run. */
import process from 'node:process';
import type { Command } from 'commander';
import { type BenchOptions, type BenchRow, formatRows } from '../../bench/bench_runner.ts';
import { oneLine, UsageError } from '../errors.ts';
import { integers, type ShrinkerFlags, shrinkerOptions } from './bench_options.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { notYet } from './later.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { FLAME_HELP } from './profile_output.ts';

/** Groups, in the order of a full run; and those that are planned. */
const GROUPS = ['locks', 'rings', 'rcu', 'replay', 'shrinker', 'kcompressd', 'kshrinkd', 'harness'];
const LATER = ['reclaim', 'aging'];

interface BenchFlags extends ShrinkerFlags {
  readonly threads?: string;
  readonly rounds?: string;
  readonly only?: string;
  readonly native: boolean;
  readonly quick?: true;
  readonly profile?: true;
  readonly flame?: string;
  readonly json?: string;
}

/** A group's module: how it runs, and a table of what its rows have beside rates. */
interface Group {
  readonly bench: (options: BenchOptions) => Promise<BenchRow[]>;
  readonly table: (rows: readonly BenchRow[]) => string;
}

/** @returns null where this build has no such module */
async function loadGroup(group: string): Promise<Group | null> {
  const url = new URL(`../../bench/${group}.js`, import.meta.url);
  try {
    const module = (await import(url.href)) as Record<string, unknown>;
    const bench = module[`${group}Bench`] as Group['bench'] | undefined;
    const table = module[`${group}Table`] as Group['table'] | undefined;
    return bench === undefined ? null : { bench, table: table ?? (() => '') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function chooseGroups(group: string | undefined): string[] {
  if (group === undefined || group === 'all') return GROUPS;
  if (LATER.includes(group)) notYet(`bench ${group}`);
  if (GROUPS.includes(group)) return [group];
  const known = [...GROUPS, 'all'].join(', ');
  throw new UsageError(`bench: no group '${oneLine(group, 40)}'; give one of ${known}`);
}

/** A flame graph is one of a profile. @throws UsageError where nothing would be profiled */
function wantsProfile({ profile, flame }: BenchFlags, groups: readonly string[]): boolean {
  if (profile === undefined && flame === undefined) return false;
  if (groups.includes('shrinker')) return true;
  throw new UsageError(`--${profile ? 'profile' : 'flame'}: goes with the group shrinker`);
}

/** @param known collects the names of the cases' groups */
function benchOptions(flags: BenchFlags, groups: readonly string[], known: Set<string>) {
  const options: BenchOptions = {
    native: flags.native,
    signal: interruptSignal,
    notice: (line) => process.stderr.write(`${line}\n`),
    onGroup: (name) => known.add(name),
    ...(flags.threads === undefined ? {} : { threads: integers('threads', flags.threads, 64) }),
    ...(flags.rounds === undefined
      ? {}
      : { rounds: integers('rounds', flags.rounds, 99)[0] as number }),
    ...(flags.only === undefined ? {} : { only: flags.only }),
    ...(flags.quick === undefined ? {} : { quick: true }),
    ...shrinkerOptions(flags, groups),
  };
  return options;
}

/** Runs the groups. @returns rows, and a table of each that has one */
async function measure(groups: readonly string[], options: BenchOptions) {
  const rows: BenchRow[] = [];
  const tables: string[] = [];
  for (const name of groups) {
    if (interruptSignal.aborted) break;
    const group = await loadGroup(name);
    if (group !== null) {
      const measured = await group.bench(options);
      rows.push(...measured);
      tables.push(group.table(measured));
    } else if (groups.length === 1) notYet(`bench ${name}`);
  }
  return { rows, tables };
}

/** @throws UsageError where `--only` let nothing run */
function checkOnly(only: string | undefined, known: ReadonlySet<string>): void {
  if (only === undefined || [...known].some((name) => name.includes(only))) return;
  const names = [...known].map((name) => `'${name}'`).join(', ');
  throw new UsageError(
    `--only: no group's name contains '${oneLine(only, 40)}'; known are ${names}`,
  );
}

async function benchAction(group: string | undefined, flags: BenchFlags): Promise<void> {
  const groups = chooseGroups(group);
  const known = new Set<string>();
  const options = benchOptions(flags, groups, known);
  const profiled = wantsProfile(flags, groups);
  await checkWritable(flags.json);
  await checkWritable(flags.flame);
  const { rows, tables } = await measure(groups, options);
  if (!interruptSignal.aborted) checkOnly(flags.only, known);
  // Loaded where it is asked for only.
  const { benchProfile } = profiled ? await import('./bench_profile.ts') : { benchProfile: null };
  const profile = (await benchProfile?.(options, flags.flame)) ?? null;
  if (profile !== null) tables.push(profile.text);
  const extra = profile === null ? {} : { profiles: profile.rows };
  const interrupted = interruptSignal.aborted;
  const result = { schema: 'kreclaim.bench/1', node: process.version, rows, ...extra, interrupted };
  const parts = [formatRows(rows), ...tables];
  if (interrupted) parts.push('interrupted: whole rounds only');
  await emitResult(result, `${parts.filter((part) => part !== '').join('\n\n')}\n`, flags.json);
  if (interrupted) process.exitCode = interruptedExitCode();
}

const EXIT_HELP =
  '\nExit code: 0 measured, 2 bad usage, 130 interrupted, with the rounds that were whole.';

/** Adds `bench` to the program. */
export function registerBenchCommand(program: Command): void {
  program
    .command('bench')
    .description('benchmarks beside their peers: bare Atomics, C, npm packages')
    .argument('[group]', `${GROUPS.join(', ')}; default: all of them`)
    .option('--threads <list>', 'thread counts of contended cases (default: 1,2,4; replay: 1,2)')
    .option('--rounds <n>', 'measured rounds (default: 5; rings: 9; replay, rcu, harness: 7)')
    .option('--only <text>', 'only groups whose name contains TEXT')
    .option('--memcgs <list>', 'shrinker: groups, such as 1000,4000 (default: 1000)')
    .option('--shrinkers <list>', 'shrinker: shrinkers, such as 64,4000 (default: 64)')
    .option('--density <list>', 'shrinker: per cent of the bits that are set (default: 1)')
    .option(
      '--variant <list>',
      'shrinker: some of rwsem,srcu,lockless,lockless-fixed (default: all)',
    )
    .option(
      '--register-us <list>',
      'shrinker: one comes and goes every so many us, or off (default: off,1000)',
    )
    .option('--profile', "shrinker: where each variant's time goes, beside the published tables")
    .option('--flame <file>', `shrinker: ${FLAME_HELP}`)
    .option('--no-native', 'leave out the C peers')
    .option('--quick', 'short samples, one round: shows that it runs, not how fast')
    .option('--json <file>', JSON_HELP)
    .addHelpText('after', EXIT_HELP)
    .action(benchAction);
}
