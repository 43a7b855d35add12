// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce NAME`: a figure that was published, beside ours. */
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import { notYet } from './later.ts';
import { JSON_HELP } from './output.ts';
import { FLAME_HELP } from './profile_output.ts';
import { type ReproduceKcompressdOptions, reproduceKcompressd } from './reproduce_kcompressd.ts';
import { type ReproduceKshrinkdOptions, reproduceKshrinkd } from './reproduce_kshrinkd.ts';
import { type ReproduceOriginOptions, reproduceOrigin } from './reproduce_origin.ts';
import { type ReproduceReferenceOptions, reproduceReference } from './reproduce_reference.ts';
import { type ReproduceShrinkerOptions, reproduceShrinker } from './reproduce_shrinker.ts';

const NAMES = [
  'reference',
  'kshrinkd',
  'kcompressd',
  'mglru',
  'klruscand',
  'shrinker',
  'origin',
  'all',
];

interface ReproduceOptions
  extends ReproduceShrinkerOptions,
    ReproduceOriginOptions,
    ReproduceKshrinkdOptions,
    ReproduceKcompressdOptions,
    ReproduceReferenceOptions {}

/** Options, and the names that take them; `json` goes with all. */
const NAMES_OF: Readonly<Partial<Record<keyof ReproduceOptions, readonly string[]>>> = {
  traces: ['reference'],
  reference: ['reference'],
  mapping: ['reference'],
  runs: ['reference', 'shrinker', 'origin', 'kshrinkd', 'kcompressd'],
  threads: ['shrinker', 'origin', 'kcompressd'],
  quick: ['shrinker', 'origin', 'kshrinkd', 'kcompressd'],
  memcgs: ['shrinker'],
  only: ['shrinker', 'kshrinkd', 'kcompressd'],
  flame: ['shrinker'],
  holdUs: ['origin', 'kshrinkd'],
  oneIn: ['kshrinkd'],
  launches: ['kshrinkd'],
  cost: ['kcompressd'],
  folios: ['origin'],
};

/** @throws UsageError for an option that this name does not take */
function checkOptions(name: string, options: ReproduceOptions): void {
  for (const [key, names] of Object.entries(NAMES_OF)) {
    if (options[key as keyof ReproduceOptions] === undefined || names.includes(name)) continue;
    const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(`--${flag}: goes with reproduce ${names.join(' or ')}`);
  }
}

async function reproduceAction(name: string, options: ReproduceOptions): Promise<void> {
  checkOptions(name, options);
  if (name === 'reference') {
    await reproduceReference(options);
    return;
  }
  if (name === 'shrinker') {
    await reproduceShrinker(options);
    return;
  }
  if (name === 'origin') {
    await reproduceOrigin(options);
    return;
  }
  if (name === 'kshrinkd') {
    await reproduceKshrinkd(options);
    return;
  }
  if (name === 'kcompressd') {
    await reproduceKcompressd(options);
    return;
  }
  if (NAMES.includes(name)) notYet(`reproduce ${name}`);
  const known = NAMES.join(', ');
  throw new UsageError(`reproduce: no '${oneLine(name, 40)}'; give one of ${known}`);
}

const EXIT_HELP =
  '\nExit code: 0 measured, whatever the verdict; 1 an invariant or integrity failed, 2 bad ' +
  'usage, 3 a machine broke, 130 interrupted, with what was measured.';

/** Adds `reproduce` to the program. */
export function registerReproduceCommand(program: Command): void {
  program
    .command('reproduce')
    .description("published figures beside ours; reference: the real kernel's")
    .argument('<name>', NAMES.join(', '))
    .option('--traces <dir>', 'reference: traces other than the bundled ones')
    .option('--reference <file>', "reference: the real kernel's figures for them")
    .option(
      '--mapping <list>',
      'reference: rows of anon, mixed, file, swapfile (default: all of them)',
    )
    .option('--runs <n>', 'repeats (default: 5; reference: 3 of rows that differ between runs)')
    .option('--memcgs <n>', 'shrinker: groups (default: 4000)')
    .option(
      '--threads <list>',
      'shrinker: numbers of walking threads (default: 1,2,4,8); origin: of forking ones (1,2,4); ' +
        'kcompressd: more threads of it (2,4)',
    )
    .option(
      '--hold-us <list>',
      'origin: a holder sleeps so long (default: 0,100,1000,10000); kshrinkd: ' +
        '(100,1000,5000,20000)',
    )
    .option('--one-in <list>', 'kshrinkd: one taker of the lock in so many sleeps (default: 4,1)')
    .option('--launches <n>', 'kshrinkd: launches of apps in a sample (default: 48)')
    .option('--cost <list>', 'kcompressd: a page is compressed so often (default: 1,16,64,256)')
    .option('--folios <kind>', 'origin: anon, or file for those of mapped files (default: anon)')
    .option(
      '--quick',
      'all but reference: short samples, one run: shows that it runs, not how fast',
    )
    .option(
      '--only <text>',
      'only experiments whose name contains TEXT: shrinker: hot spots, churn; kshrinkd: ' +
        'isolations, monkey; kcompressd: cost, threads, reserve, one core',
    )
    .option('--flame <file>', `shrinker: ${FLAME_HELP}`)
    .option('--json <file>', JSON_HELP)
    .addHelpText('after', EXIT_HELP)
    .action(reproduceAction);
}
