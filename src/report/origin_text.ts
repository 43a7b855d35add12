// SPDX-License-Identifier: GPL-2.0-only
/** The waits for the rmap lock, and where contended folios are put, as text. */
import type { OriginFolios } from './origin_lab.ts';
import type { OriginCell, OriginSide, Quartiles } from './reproduce_origin.ts';
import type { Spread } from './shrinker_verdicts.ts';
import { formatNumber, formatTable } from './text_table.ts';

const rates = ({ median, min, max }: Spread): string =>
  `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`;

const quartiles = (values: Quartiles | null): string =>
  values === null ? '-' : values.map((value) => value.toFixed(3)).join(' ');

const WAITS = [
  'forking',
  'hold us',
  'variant',
  'waits',
  'max ms',
  'avg ms',
  'sum ms',
  'sum of a run',
  'reclaimed/s',
  'forks/s',
];

function waitRow({ forkers, holdUs }: OriginCell, side: OriginSide): (string | number)[] {
  return [
    forkers,
    holdUs,
    side.variant,
    side.waits,
    side.waitMsMax.toFixed(2),
    side.waitMsAvg.toFixed(2),
    side.waitMsSum.toFixed(1),
    rates(side.waitMsPerRun),
    rates(side.stealPerSec),
    rates(side.forksPerSec),
  ];
}

const PLACES = ['forking', 'hold us', 'contended', 'looked at', 'put at', 'age belongs at'];

const LOCKS = { anon: 'anon_vma->rwsem', file: 'i_mmap_rwsem' } as const;

/** All of it, one string with newlines; nothing without cells. */
export function formatOrigin(cells: readonly OriginCell[], folios: OriginFolios): string {
  if (cells.length === 0) return '';
  const waits = cells.flatMap((cell) => [waitRow(cell, cell.before), waitRow(cell, cell.after)]);
  const places = cells.map(({ forkers, holdUs, after }) => [
    forkers,
    holdUs,
    after.contended,
    after.placements,
    quartiles(after.placed),
    quartiles(after.age),
  ]);
  return [
    `Waits of reclaim for ${LOCKS[folios]} (published before: n=209, max 1632, avg 151.54, ` +
      'sum 31672; after: none):',
    ...formatTable(WAITS, waits, [2]),
    '',
    'Contended folios of trylock on their list, 0 the youngest .. 1 the oldest, in quartiles:',
    ...formatTable(PLACES, places, []),
    '',
  ].join('\n');
}
