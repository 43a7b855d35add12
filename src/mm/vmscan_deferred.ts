// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kswapd has left to others, kshrinkd and kcompressd: did it come to anything? While nobody
 * knows yet, it is progress; once it is known to have been in vain, it is none, so that a node
 * whose pages nobody can free is given up, and the OOM killer comes.
 */
import type { Mm } from './mm.ts';
import type { ScanControl } from './scan_control.ts';

/** Sum of a column over the threads of kcompressd of a node. */
function ofThreads(m: Mm, column: Int32Array, nid: number): number {
  if (m.sizes.nrKcompressd === 0) return 0;
  const { kcompressdThreads } = m.config;
  let sum = 0;
  for (let i = 0; i < kcompressdThreads; i++) {
    sum += Atomics.load(column, nid * kcompressdThreads + i);
  }
  return sum;
}

/**
 * @returns pages that kshrinkd has freed and folios that kcompressd has stored on a node, so far;
 *   only that it changes means something
 * @context any
 */
export function deferredDone(m: Mm, nid: number): number {
  const { stolen, dead } = m.kshrinkd;
  const freed = Atomics.load(stolen, nid) + Atomics.load(dead, nid);
  return (freed + ofThreads(m, m.kcompressd.stored, nid)) | 0;
}

/** @returns pages put back and folios dirty again, as deferredDone @context any */
export function deferredInVain(m: Mm, nid: number): number {
  return (Atomics.load(m.kshrinkd.putback, nid) + ofThreads(m, m.kcompressd.failed, nid)) | 0;
}

/**
 * Is there hope for what a run of kswapd has given away? It ends here. What others have done since
 * its last run ended counts: they are often done while kswapd is between two runs.
 * @param sc of the run
 * @context kswapd of the node
 */
export function deferredHope(m: Mm, nid: number, sc: ScanControl): boolean {
  const { deferredDone: lastDone, deferredInVain: lastInVain } = m.node;
  const done = deferredDone(m, nid);
  const inVain = deferredInVain(m, nid);
  const hope = done !== lastDone[nid] || inVain === lastInVain[nid];
  lastDone[nid] = done;
  lastInVain[nid] = inVain;
  return sc.nrDeferred > 0 && hope;
}
