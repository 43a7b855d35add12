// SPDX-License-Identifier: GPL-2.0-only
/** A node's kcompressd while the node has no memory (seed 001, in kswapd_stop and kswapd_run). */

import type { Mm } from './mm.ts';
import { parkThread, unparkThread } from './node_daemons.ts';

/** @returns names of a node's threads, the first as the seed's */
export function kcompressdNames(nid: number, threads: number): string[] {
  return Array.from({ length: threads }, (_, i) =>
    i === 0 ? `kcompressd${nid}` : `kcompressd${nid}:${i}`,
  );
}

function names(m: Mm, nid: number): string[] {
  return m.config.kcompressd === 'off' ? [] : kcompressdNames(nid, m.config.kcompressdThreads);
}

/** @context who moves the node, after its kswapd has stopped; no lock held; blocks */
export function kcompressdStop(m: Mm, nid: number): void {
  for (const name of names(m, nid)) parkThread(m, name);
}

/** @context who moves the node */
export function kcompressdRun(m: Mm, nid: number): void {
  for (const name of names(m, nid)) unparkThread(m, name);
}
