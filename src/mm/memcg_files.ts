// SPDX-License-Identifier: GPL-2.0-only
/** Writes to the files of a memory group (mm/memcontrol.c, the write functions of memory_files). */
import { EINVAL, EPERM } from './errno.ts';
import { memcgSetHigh } from './memcg_high.ts';
import { memcgSetMax } from './memcg_max.ts';
import { memcgSetLow, memcgSetMin } from './memcg_protection.ts';
import { memcgReclaim } from './memcg_reclaim.ts';
import type { Mm } from './mm.ts';
import { parseLimit } from './parse_bytes.ts';
import { hasZswap } from './zswap_entry.ts';

/** Most pages that a protection can say: `max`. */
const ALL_PAGES = 0x7fffffff;

/** Files that take a size or `max`; -1 is `max`. */
const LIMITS: Readonly<Record<string, (m: Mm, memcg: number, pages: number) => void>> = {
  'memory.max': memcgSetMax,
  'memory.high': memcgSetHigh,
  'memory.min': (m, memcg, pages) => memcgSetMin(m, memcg, pages < 0 ? ALL_PAGES : pages),
  'memory.low': (m, memcg, pages) => memcgSetLow(m, memcg, pages < 0 ? ALL_PAGES : pages),
  // What is above it stays: nothing new goes out.
  'memory.swap.max': (m, memcg, pages) => void Atomics.store(m.memcg.swapMax, memcg, pages),
  'memory.zswap.max': (m, memcg, pages) =>
    void Atomics.store(m.memcg.zswapLimit, memcg, Math.min(pages, ALL_PAGES - 1) + 1),
};

/**
 * Writes to a file of a group.
 * @returns 0; EPERM for one that cannot be written, EINVAL for a text that it does not take, EAGAIN
 *   when memory.reclaim got less than asked for, EINTR when the writer is to end
 * @context a reference is held; may block and reclaim; no lock held
 */
export function writeMemcgFile(m: Mm, memcg: number, file: string, text: string): number {
  if (file === 'memory.reclaim') return memcgReclaim(m, memcg, text);
  if (memcg === 0) return EPERM;
  if (file === 'memory.oom.group') {
    if (!/^[01]\s*$/.test(text)) return EINVAL;
    Atomics.store(m.memcg.oomGroup, memcg, Number(text));
    return 0;
  }
  if (file.startsWith('memory.zswap.') && !hasZswap(m)) return EPERM;
  if (file === 'memory.zswap.writeback') {
    if (!/^[01]\s*$/.test(text)) return EINVAL;
    Atomics.store(m.memcg.zswapNoWriteback, memcg, 1 - Number(text));
    return 0;
  }
  const set = LIMITS[file];
  if (set === undefined) return EPERM;
  const pages = parseLimit(text);
  if (pages === null) return EINVAL;
  set(m, memcg, pages);
  return 0;
}
