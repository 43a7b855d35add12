// SPDX-License-Identifier: GPL-2.0-only
/** Sizes as files of /sys and cgroups take them (memparse, page_counter_memparse). */
import { PAGE_SIZE } from './limits.ts';

/** Most pages that a limit can say. */
const MAX_PAGES = 0x7fffffff;

/** Bytes, with K, M or G; rounded down to pages. @returns pages, or null for no size */
export function parseBytes(text: string): number | null {
  const match = /^(\d{1,15})([kmg]?)$/i.exec(text.trim());
  if (match === null) return null;
  const shift = { '': 0, k: 10, m: 20, g: 30 }[(match[2] as string).toLowerCase()] as number;
  return Math.min(Math.floor((Number(match[1]) * 2 ** shift) / PAGE_SIZE), MAX_PAGES);
}

/** As parseBytes, or `max`. @returns pages, -1 for max, or null */
export function parseLimit(text: string): number | null {
  return text.trim() === 'max' ? -1 : parseBytes(text);
}
