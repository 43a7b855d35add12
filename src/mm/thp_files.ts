// SPDX-License-Identifier: GPL-2.0-only
/** Files of /sys/kernel/mm/transparent_hugepage (mm/huge_memory.c): switches and counters. */
import { EINVAL, ENOENT, EPERM } from './errno.ts';
import type { Mm } from './mm.ts';
import { mthpStat } from './mthp_stat.ts';
import { setThpMode, thpMode } from './thp.ts';
import {
  FILE_ORDER_MIN,
  MTHP,
  MTHP_STATS,
  NR_THP_ORDERS,
  THP_GLOBAL,
  THP_MODES,
  THP_ORDER_MIN,
  type ThpMode,
} from './thp_types.ts';

const ROOT = '/sys/kernel/mm/transparent_hugepage/';
const KB_PER_PAGE = 4;
/** What a file of one order may say, and the one above them. */
const ORDER_MODES = THP_MODES;
const GLOBAL_MODES: readonly ThpMode[] = THP_MODES.filter((mode) => mode !== 'inherit');

function orderDir(order: number): string {
  return `${ROOT}hugepages-${KB_PER_PAGE << order}kB/`;
}

/** The choice with brackets around what is in force. */
function choice(modes: readonly ThpMode[], now: ThpMode): string {
  return `${modes.map((mode) => (mode === now ? `[${mode}]` : mode)).join(' ')}\n`;
}

/** Counters of every order that folios may have: of files 1, too. */
function statFiles(m: Mm): Record<string, string> {
  const files: Record<string, string> = {};
  const ofFiles = (m.config.fileLargeFolios ?? 0) > 0;
  const first = ofFiles ? FILE_ORDER_MIN : THP_ORDER_MIN;
  for (let order = first; order < NR_THP_ORDERS; order++) {
    for (const name of MTHP_STATS) {
      files[`${orderDir(order)}stats/${name}`] = `${mthpStat(m, order, MTHP[name])}\n`;
    }
  }
  return files;
}

/**
 * Every file of large folios, as text by path; none in a kernel without. Where only files have them
 * there is nothing to switch.
 * @context any
 */
export function thpFiles(m: Mm): Record<string, string> {
  const anon = (m.config.thp ?? null) !== null;
  if (!anon) return (m.config.fileLargeFolios ?? 0) === 0 ? {} : statFiles(m);
  const global = THP_MODES[Atomics.load(m.thpWords, THP_GLOBAL)] as ThpMode;
  const files = statFiles(m);
  files[`${ROOT}enabled`] = choice(GLOBAL_MODES, global);
  for (let order = THP_ORDER_MIN; order < NR_THP_ORDERS; order++) {
    files[`${orderDir(order)}enabled`] = choice(ORDER_MODES, thpMode(m, order));
  }
  return files;
}

/** @returns whether a path is one of these files' @context any */
export function isThpFile(path: string): boolean {
  return path.startsWith(ROOT);
}

/**
 * Writes to a file named `enabled`. Folios that are there stay.
 * @returns 0; EINVAL for a text that it does not take, EPERM for a counter, ENOENT
 * @context any thread
 */
export function writeThpFile(m: Mm, path: string, text: string): number {
  if (thpFiles(m)[path] === undefined) return ENOENT;
  const mode = text.trim() as ThpMode;
  if (path === `${ROOT}enabled`) {
    if (!GLOBAL_MODES.includes(mode)) return EINVAL;
    Atomics.store(m.thpWords, THP_GLOBAL, THP_MODES.indexOf(mode));
    return 0;
  }
  if (!path.endsWith('/enabled')) return EPERM;
  if (!ORDER_MODES.includes(mode)) return EINVAL;
  for (let order = THP_ORDER_MIN; order < NR_THP_ORDERS; order++) {
    if (path.startsWith(orderDir(order))) setThpMode(m, order, mode);
  }
  return 0;
}
