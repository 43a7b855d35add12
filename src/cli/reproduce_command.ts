// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce NAME`: a figure that was published, beside ours. */
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import { notYet } from './later.ts';
import { JSON_HELP } from './output.ts';

const NAMES = ['reference', 'kshrinkd', 'kcompressd', 'mglru', 'klruscand', 'shrinker', 'all'];

function reproduceAction(name: string): void {
  if (NAMES.includes(name)) notYet(`reproduce ${name}`);
  const known = NAMES.join(', ');
  throw new UsageError(`reproduce: no '${oneLine(name, 40)}'; give one of ${known}`);
}

/** Adds `reproduce` to the program. */
export function registerReproduceCommand(program: Command): void {
  program
    .command('reproduce')
    .description("published figures beside ours; reference: the real kernel's")
    .argument('<name>', NAMES.join(', '))
    .option('--traces <dir>', 'reference: traces other than the bundled ones')
    .option('--reference <file>', "reference: the real kernel's figures for them")
    .option('--json <file>', JSON_HELP)
    .action(reproduceAction);
}
