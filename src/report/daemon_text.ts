// SPDX-License-Identifier: GPL-2.0-only
/** kshrinkd and kcompressd in a report's text: only what was on, and had to do. */
import type { RunReport } from './run_report.ts';
import { formatNumber, formatTable } from './text_table.ts';

function contendedLines({ contended, kshrinkd }: RunReport): string[] {
  const { policy, head, tail, queued } = contended;
  const moved = [
    ['to the head', head],
    ['to the tail', tail],
    ['to kshrinkd', queued],
  ] as const;
  const told = moved.filter(([, folios]) => folios > 0);
  if (told.length === 0 || (policy === 'head' && kshrinkd === null)) return [];
  const parts = told.map(([where, folios]) => `${formatNumber(folios)} ${where}`);
  return [`folios whose rmap lock was taken, ${policy}: ${parts.join(', ')}`];
}

function kshrinkdLines({ kshrinkd }: RunReport): string[] {
  if (kshrinkd === null) return [];
  const rows = kshrinkd.map((row) => [
    row.comm,
    row.queued,
    row.scanned,
    row.stolen,
    row.requeued,
    row.putback,
    row.dead,
    row.full,
    `${formatNumber(row.depth)} / ${formatNumber(row.depthMax)}`,
  ]);
  const pages = ['queued', 'scanned', 'stolen', 'requeued', 'put back', 'dead', 'full'];
  return ['kshrinkd, pages', ...formatTable(['comm', ...pages, 'depth / max'], rows)];
}

const percent = (share: number | null): string | null =>
  share === null ? null : `${(100 * share).toFixed(1)} %`;

function kcompressdLines({ kcompressd }: RunReport): string[] {
  if (kcompressd === null) return [];
  const rows = kcompressd.map((row) => [
    row.comm,
    row.queued,
    row.stored,
    row.failed,
    percent(row.busyShare),
    row.pagesPerSec,
    row.pagesPerCpuSec,
    row.depthMean === null ? null : formatNumber(row.depthMean, 1),
    row.depthMax,
    row.fallbackFull,
    row.fallbackOff,
  ]);
  const counts = ['queued', 'stored', 'failed', 'busy', 'pages/s', 'per cpu s'];
  const title = ['comm', ...counts, 'depth', 'max', 'full', 'off'];
  return ['kcompressd, folios', ...formatTable(title, rows)];
}

/** @returns lines, none where both are off */
export function daemonLines(report: RunReport): string[] {
  return [...contendedLines(report), ...kshrinkdLines(report), ...kcompressdLines(report)];
}
