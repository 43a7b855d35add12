// SPDX-License-Identifier: GPL-2.0-only
/** The experiments on kshrinkd as text: the demonstration, then the sweep of workload monkey. */
import { figureText } from './figure.ts';
import { firstEmpty } from './kshrinkd_verdicts.ts';
import type { IsolationCell, KshrinkdResult, MonkeyCell } from './reproduce_kshrinkd.ts';
import { formatNumber, formatTable } from './text_table.ts';

const ISOLATIONS = ['held', 'policy', 'reclaimable of 32', 'none at', 'at the head', 'kshrinkd'];

function isolationPart(cells: readonly IsolationCell[]): string[] {
  const rows = cells.map((cell) => [
    `${cell.held} of 32`,
    cell.policy,
    cell.reclaimable.map((count) => formatNumber(count)).join(' '),
    firstEmpty(cell.reclaimable) ?? '-',
    figureText(cell.misplaced),
    cell.scanKshrinkd.median === 0
      ? '-'
      : `${formatNumber(cell.stealKshrinkd.median)} of ${formatNumber(cell.scanKshrinkd.median)}`,
  ]);
  return [
    'Isolations of 32 while a rmap lock is held (published, tail: 24 16 8 0), folios put at the ' +
      'head, and freed by kshrinkd once the lock is released:',
    ...formatTable(ISOLATIONS, rows, [0, 1, 2]),
    '',
  ];
}

const MONKEY = [
  'one in',
  'hold us',
  'policy',
  'contended %',
  'steal/scan %',
  'misplaced/s',
  'refaults',
  'to head',
  'kills',
  'to head',
  'wall ms',
];

function monkeyPart(cells: readonly MonkeyCell[]): string[] {
  const rows = cells.map((cell) => [
    ...[cell.oneIn, cell.holdUs, cell.policy, figureText(cell.contendedPercent, 2)],
    ...[figureText(cell.stealPercent, 1), figureText(cell.misplacedPerSec, 1)],
    ...[figureText(cell.refaults), figureText(cell.refaultRatio, 3)],
    ...[figureText(cell.kills), figureText(cell.killRatio, 2), figureText(cell.wallMs)],
  ]);
  return [
    'Workload monkey (published: steal/scan 33.0 %; misplaced 0.243, 44 and 106 a second; ' +
      'refaults 0.966 and 0.971, kills 0.947 to 0.976 of those without):',
    ...formatTable(MONKEY, rows, [2]),
    '',
  ];
}

/** All of it, one string with newlines; parts that have no sample are left out. */
export function formatKshrinkd({ isolations, monkey }: KshrinkdResult): string {
  return [
    ...(isolations.length === 0 ? [] : isolationPart(isolations)),
    ...(monkey.length === 0 ? [] : monkeyPart(monkey)),
  ].join('\n');
}
