// SPDX-License-Identifier: GPL-2.0-only
/** memory.reclaim: reclaim on demand (mm/vmscan.c, user_proactive_reclaim). */
import { kthreadShouldStop } from '../../shared/sched.ts';
import { EAGAIN, EINTR, EINVAL } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { MAX_RECLAIM_RETRIES, MAX_SWAPPINESS } from './limits.ts';
import type { Mm } from './mm.ts';
import { parseBytes } from './parse_bytes.ts';
import { lruAddDrainAll } from './swap.ts';
import { proactiveReclaim } from './vmscan_direct.ts';

/** What a write asks for. */
interface Request {
  readonly pages: number;
  /** Null for the machine's. */
  readonly swappiness: number | null;
}

/** `BYTES [swappiness=N]`. @returns null for a text that it is not */
function parseRequest(text: string): Request | null {
  const [bytes = '', option, ...more] = text.trim().split(/\s+/);
  const pages = parseBytes(bytes);
  if (pages === null || more.length > 0) return null;
  if (option === undefined) return { pages, swappiness: null };
  const match = /^swappiness=(\d{1,3}|max)$/.exec(option);
  if (match === null) return null;
  const swappiness = match[1] === 'max' ? MAX_SWAPPINESS : Number(match[1]);
  return swappiness <= MAX_SWAPPINESS ? { pages, swappiness } : null;
}

/**
 * Reclaims from a group, or from the machine for the root.
 * @returns 0; EAGAIN when less could be reclaimed, EINTR when the caller is to end, EINVAL
 * @context a reference is held; may block; no lock held
 */
export function memcgReclaim(m: Mm, memcg: number, text: string): number {
  const request = parseRequest(text);
  if (request === null) return EINVAL;
  const fatal = (): boolean => fatalSignalPending(m) || kthreadShouldStop();
  const swappiness = request.swappiness ?? m.config.swappiness;
  let reclaimed = 0;
  for (let retries = MAX_RECLAIM_RETRIES; reclaimed < request.pages; ) {
    if (fatal()) return EINTR;
    // The last tries take what is in others' batches too.
    if (retries === 0) lruAddDrainAll(m, false);
    const got = proactiveReclaim(m, memcg, request.pages - reclaimed, swappiness, fatal);
    if (got === 0 && retries-- === 0) return EAGAIN;
    reclaimed += got;
  }
  return 0;
}
