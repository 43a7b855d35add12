// SPDX-License-Identifier: GPL-2.0-only
/** The experiment on kcompressd as text: the seed's figures beside ours, and the sweep. */
import { figureOf, figureText } from './figure.ts';
import { KCOMPRESSD_SHAPE } from './kcompressd_lab.ts';
import type { KcompressdCell } from './kcompressd_verdicts.ts';
import type { KcompressdResult } from './reproduce_kcompressd.ts';
import { formatTable } from './text_table.ts';

const STALLS = [
  'experiment',
  'pages',
  'cost',
  'c/s',
  'threads',
  'reserve',
  'policy',
  'allocstall',
  'on/off',
  'stall p50 ms',
  'p99 ms',
  'total ms',
  'on/off',
];

const RATES = [
  'experiment',
  'pages',
  'cost',
  'threads',
  'reserve',
  'policy',
  'pgsteal_anon/s',
  'on/off',
  'by kswapd/s',
  'queued %',
  'wall ms',
  'on/off',
];

/** Compression of one page in parts of scanning it. */
function costRatio({ data, cost }: KcompressdCell, result: KcompressdResult): string {
  const scan = figureOf(result.scanUs);
  if (scan === null || scan.median === 0) return '-';
  const { compressibleUs, incompressibleUs } = result.codec;
  const once = data === 'incompressible' ? incompressibleUs : compressibleUs;
  return ((once * cost) / scan.median).toFixed(1);
}

/** All of it, one string with newlines; nothing without cells. */
export function formatKcompressd(result: KcompressdResult): string {
  const { cells, codec, scanUs } = result;
  if (cells.length === 0) return '';
  const { processes, processPages, memoryPages, burst, pauseMs } = KCOMPRESSD_SHAPE;
  const stalls = cells.map((cell) => [
    ...[cell.experiment, cell.data, `x${cell.cost}`, costRatio(cell, result)],
    ...[cell.threads, cell.reserve, cell.policy],
    ...[figureText(cell.allocstall), figureText(cell.stallRatio, 2)],
    ...[figureText(cell.stallP50Ms, 2), figureText(cell.stallP99Ms, 1)],
    ...[figureText(cell.stallTotalMs), figureText(cell.stallTotalRatio, 2)],
  ]);
  const rates = cells.map((cell) => [
    ...[cell.experiment, cell.data, `x${cell.cost}`, cell.threads, cell.reserve, cell.policy],
    ...[figureText(cell.stealAnonPerSec), figureText(cell.stealRatio, 2)],
    figureText(cell.stealKswapdPerSec),
    cell.queuedShare === null ? '-' : (100 * cell.queuedShare.median).toFixed(0),
    ...[figureText(cell.wallMs), figureText(cell.wallRatio, 2)],
  ]);
  return [
    `${processes} processes of ${processPages} pages in ${memoryPages}, stores in bursts of ` +
      `${burst} pages, ${pauseMs} ms between two. Codec: ${codec.compressibleUs.toFixed(1)} us a ` +
      `compressible page, ${codec.incompressibleUs.toFixed(1)} us an incompressible one. Scan ` +
      `(kswapd, storing free): ${figureText(figureOf(scanUs), 1)} us a page.`,
    '',
    'Allocation stalls (seed: on/off 0.50 or less with one thread), and direct reclaim:',
    ...formatTable(STALLS, stalls, [0, 1, 6]),
    '',
    'Steal (published for the series before it, 4 threads in zram: on/off 3.60):',
    ...formatTable(RATES, rates, [0, 1, 5]),
    '',
  ].join('\n');
}
