// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim bench [GROUP]`: benchmarks as ratios to their peers, measured in the same run. */
import process from 'node:process';
import type { Command } from 'commander';
import { type BenchOptions, type BenchRow, formatRows } from '../../bench/bench_runner.ts';
import { oneLine, UsageError } from '../errors.ts';
import { notYet } from './later.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';

/** Groups, in the order of a full run; and those that are planned. */
const GROUPS = ['locks', 'rings', 'rcu', 'replay', 'shrinker', 'harness'];
const LATER = ['reclaim', 'aging'];

interface BenchFlags {
  readonly threads?: string;
  readonly rounds?: string;
  readonly only?: string;
  readonly native: boolean;
  readonly quick?: true;
  readonly json?: string;
}

type Bench = (options: BenchOptions) => Promise<BenchRow[]>;

/** @returns null where this build has no such module */
async function loadGroup(group: string): Promise<Bench | null> {
  const url = new URL(`../../bench/${group}.js`, import.meta.url);
  try {
    const module = (await import(url.href)) as Record<string, Bench>;
    return module[`${group}Bench`] ?? null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function integers(name: string, text: string, max: number): number[] {
  const values = text.split(',').map((part) => (/^\d{1,4}$/.test(part) ? Number(part) : 0));
  if (values.every((value) => value >= 1 && value <= max)) return values;
  const shown = oneLine(text, 40);
  throw new UsageError(`--${name}: '${shown}' will not do; give integers in 1..${max}`);
}

function chooseGroups(group: string | undefined): string[] {
  if (group === undefined || group === 'all') return GROUPS;
  if (LATER.includes(group)) notYet(`bench ${group}`);
  if (GROUPS.includes(group)) return [group];
  const known = [...GROUPS, 'all'].join(', ');
  throw new UsageError(`bench: no group '${oneLine(group, 40)}'; give one of ${known}`);
}

async function benchAction(group: string | undefined, flags: BenchFlags): Promise<void> {
  const groups = chooseGroups(group);
  const options: BenchOptions = {
    native: flags.native,
    notice: (line) => process.stderr.write(`${line}\n`),
    ...(flags.threads === undefined ? {} : { threads: integers('threads', flags.threads, 64) }),
    ...(flags.rounds === undefined
      ? {}
      : { rounds: integers('rounds', flags.rounds, 99)[0] as number }),
    ...(flags.only === undefined ? {} : { only: flags.only }),
    ...(flags.quick === undefined ? {} : { quick: true }),
  };
  await checkWritable(flags.json);
  const rows: BenchRow[] = [];
  for (const name of groups) {
    const bench = await loadGroup(name);
    if (bench !== null) rows.push(...(await bench(options)));
    else if (groups.length === 1) notYet(`bench ${name}`);
  }
  const result = { schema: 'kreclaim.bench/1', node: process.version, rows };
  await emitResult(result, `${formatRows(rows)}\n`, flags.json);
}

/** Adds `bench` to the program. */
export function registerBenchCommand(program: Command): void {
  program
    .command('bench')
    .description('benchmarks beside their peers: bare Atomics, C, npm packages')
    .argument('[group]', `${GROUPS.join(', ')}; default: all of them`)
    .option('--threads <list>', 'thread counts of contended cases, such as 1,2,4')
    .option('--rounds <n>', 'measured rounds')
    .option('--only <text>', 'only groups whose name contains TEXT')
    .option('--no-native', 'leave out the C peers')
    .option('--quick', 'short samples, one round: shows that it runs, not how fast')
    .option('--json <file>', JSON_HELP)
    .action(benchAction);
}
