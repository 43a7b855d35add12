// SPDX-License-Identifier: GPL-2.0-only
/** zswap's files: /sys/module/zswap/parameters and /sys/kernel/debug/zswap (mm/zswap.c). */
import { EINVAL, ENOENT, EPERM } from './errno.ts';
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';
import { vmEvents } from './vmstat.ts';
import { hasZswap, zswapTotalPages } from './zswap_entry.ts';
import * as Z from './zswap_types.ts';

const PARAMETERS = '/sys/module/zswap/parameters/';
const DEBUG = '/sys/kernel/debug/zswap/';

/** Words that are switches, and those that are percentages. */
const SWITCHES: Readonly<Record<string, number>> = {
  enabled: Z.ZSWAP_ENABLED,
  shrinker_enabled: Z.ZSWAP_SHRINKER_ENABLED,
};
const PERCENTAGES: Readonly<Record<string, number>> = {
  max_pool_percent: Z.ZSWAP_MAX_POOL_PERCENT,
  accept_threshold_percent: Z.ZSWAP_ACCEPT_THRESHOLD_PERCENT,
};
const COUNTERS: Readonly<Record<string, number>> = {
  pool_limit_hit: Z.ZSWAP_POOL_LIMIT_HIT,
  reject_reclaim_fail: Z.ZSWAP_REJECT_RECLAIM_FAIL,
  reject_alloc_fail: Z.ZSWAP_REJECT_ALLOC_FAIL,
  reject_compress_fail: Z.ZSWAP_REJECT_COMPRESS_FAIL,
  reject_compress_poor: Z.ZSWAP_REJECT_COMPRESS_POOR,
  decompress_fail: Z.ZSWAP_DECOMPRESS_FAIL,
  stored_pages: Z.ZSWAP_STORED,
  stored_incompressible_pages: Z.ZSWAP_INCOMPRESSIBLE,
};

/** Every file of zswap, as text by path; none without zswap. @context any; exact at rest */
export function zswapFiles(m: Mm): Record<string, string> {
  if (!hasZswap(m)) return {};
  const word = (at: number): number => Atomics.load(m.zswapWords, at);
  const files: Record<string, string> = { [`${PARAMETERS}compressor`]: 'lz4\n' };
  for (const [name, at] of Object.entries(SWITCHES)) {
    files[PARAMETERS + name] = word(at) === 1 ? 'Y\n' : 'N\n';
  }
  for (const [name, at] of Object.entries(PERCENTAGES)) files[PARAMETERS + name] = `${word(at)}\n`;
  for (const [name, at] of Object.entries(COUNTERS)) files[DEBUG + name] = `${word(at)}\n`;
  files[`${DEBUG}pool_total_size`] = `${zswapTotalPages(m) * PAGE_SIZE}\n`;
  files[`${DEBUG}written_back_pages`] = `${vmEvents(m).zswpwb}\n`;
  return files;
}

/**
 * Writes a parameter.
 * @returns 0; EINVAL for a text that it does not take, EPERM for a file that is only read, ENOENT
 * @context any thread
 */
export function writeZswapFile(m: Mm, path: string, text: string): number {
  if (zswapFiles(m)[path] === undefined) return ENOENT;
  const name = path.slice(PARAMETERS.length);
  const value = text.trim();
  if (!path.startsWith(PARAMETERS)) return EPERM;
  if (SWITCHES[name] !== undefined) {
    if (!/^[01yn]$/i.test(value)) return EINVAL;
    Atomics.store(m.zswapWords, SWITCHES[name], /^[1y]$/i.test(value) ? 1 : 0);
    return 0;
  }
  if (PERCENTAGES[name] === undefined) return EPERM;
  if (!/^\d{1,3}$/.test(value) || Number(value) > 100) return EINVAL;
  Atomics.store(m.zswapWords, PERCENTAGES[name], Number(value));
  return 0;
}

/** @returns whether a path is one of zswap's files @context any */
export function isZswapFile(path: string): boolean {
  return path.startsWith(PARAMETERS) || path.startsWith(DEBUG);
}
