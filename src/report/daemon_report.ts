// SPDX-License-Identifier: GPL-2.0-only
/** What kshrinkd and kcompressd did, and what became of folios whose rmap lock was taken. */
import { policyHasKshrinkd } from '../mm/contended.ts';
import { kcompressdRing } from '../mm/kcompressd.ts';
import { kcompressdNames } from '../mm/kcompressd_hotplug.ts';
import { kshrinkdPages } from '../mm/kshrinkd.ts';
import type { Mm } from '../mm/mm.ts';
import { vmEvents } from '../mm/vmstat.ts';
import type { ThreadInfo } from '../thread_info.ts';

/** A node's kshrinkd; all but `full` in pages. */
export interface KshrinkdReport {
  /** Its thread, as in `threads`. */
  readonly comm: string;
  readonly nid: number;
  /** By reclaim: stolen, put back, dead, or queued still. */
  readonly queued: number;
  /** Freed or put back. */
  readonly scanned: number;
  readonly stolen: number;
  /** Contended again, and queued for another time. */
  readonly requeued: number;
  readonly putback: number;
  /** That nobody had any more. */
  readonly dead: number;
  /** Folios that were kept since there was no room, or no thread. */
  readonly full: number;
  readonly depth: number;
  readonly depthMax: number;
}

/** A thread of kcompressd. */
export interface KcompressdReport {
  /** Its name, as in `threads`. */
  readonly comm: string;
  readonly nid: number;
  /** Folios that kswapd gave it, that it has stored, and that are dirty again. */
  readonly queued: number;
  readonly stored: number;
  readonly failed: number;
  /** Pages of those that were stored. */
  readonly pages: number;
  /** Folios that kswapd wrote itself: the ring was full, or there was no thread. */
  readonly fallbackFull: number;
  readonly fallbackOff: number;
  /** Folios in its ring: what each left there when it was taken out, and most at once. */
  readonly depthMean: number | null;
  readonly depthMax: number;
  readonly capacity: number;
  /** Time at work, waiting for a core included. */
  readonly busyMs: number;
  /** Of the time of the run; null in deterministic mode. */
  readonly busyShare: number | null;
  /** Pages for each second at work; and of the thread's CPU time, null where it is not known. */
  readonly pagesPerSec: number | null;
  readonly pagesPerCpuSec: number | null;
}

/** Where reclaim has put folios whose rmap lock was taken. */
export interface ContendedReport {
  readonly policy: string;
  /** Back to the head of their lists. */
  readonly head: number;
  /** Back to the tail. */
  readonly tail: number;
  /** To kshrinkd. */
  readonly queued: number;
}

export interface DaemonReport {
  readonly contended: ContendedReport;
  /** By node; null where the policy has no kshrinkd. */
  readonly kshrinkd: readonly KshrinkdReport[] | null;
  /** By thread; null where it is off. */
  readonly kcompressd: readonly KcompressdReport[] | null;
}

/** A counter that wraps: never less than it was told. */
const unwrap = (words: Int32Array, row: number): number => Atomics.load(words, row) >>> 0;

function kshrinkdOf(m: Mm, nid: number): KshrinkdReport {
  const { queued, full, scanned, stolen, requeued, putback, dead, pagesMax } = m.kshrinkd;
  return {
    comm: `kshrinkd${nid}`,
    nid,
    queued: unwrap(queued, nid),
    scanned: unwrap(scanned, nid),
    stolen: unwrap(stolen, nid),
    requeued: unwrap(requeued, nid),
    putback: unwrap(putback, nid),
    dead: unwrap(dead, nid),
    full: unwrap(full, nid),
    depth: kshrinkdPages(m, nid),
    depthMax: pagesMax[nid] as number,
  };
}

function kcompressdOf(m: Mm, row: number, comm: string): KcompressdReport {
  const { queued, stored, failed, pages, full, off, depthSum, depthMax, busyNs } = m.kcompressd;
  const taken = (stored[row] as number) + (failed[row] as number);
  const ns = busyNs[row] as number;
  return {
    comm,
    nid: Math.floor(row / m.config.kcompressdThreads),
    queued: unwrap(queued, row),
    stored: stored[row] as number,
    failed: failed[row] as number,
    pages: pages[row] as number,
    fallbackFull: unwrap(full, row),
    fallbackOff: unwrap(off, row),
    depthMean: taken === 0 ? null : (depthSum[row] as number) / taken,
    depthMax: depthMax[row] as number,
    capacity: kcompressdRing(m, row).capacity,
    busyMs: ns / 1e6,
    busyShare: null,
    pagesPerSec: ns > 0 ? (1e9 * (pages[row] as number)) / ns : null,
    pagesPerCpuSec: null,
  };
}

/** As `rows`, with what takes the run's time to tell: it took `wallMs`, of real time. */
export function withTimes(
  rows: readonly KcompressdReport[] | null,
  wallMs: number,
  threads: readonly ThreadInfo[],
): KcompressdReport[] | null {
  if (rows === null || wallMs <= 0) return rows === null ? null : [...rows];
  return rows.map((row) => {
    const cpuMs = threads.find(({ comm }) => comm === row.comm)?.cpuMs ?? 0;
    const pagesPerCpuSec = cpuMs > 0 ? (1000 * row.pages) / cpuMs : null;
    return { ...row, busyShare: row.busyMs / wallMs, pagesPerCpuSec };
  });
}

/** Without what takes the run's time to tell. @context the main thread; exact at quiescence */
export function daemonReport(m: Mm): DaemonReport {
  const { config } = m;
  const events = vmEvents(m);
  const names = config.nodes.flatMap((_, nid) => kcompressdNames(nid, config.kcompressdThreads));
  return {
    contended: {
      policy: config.contended,
      head: events.kr_contended_head,
      tail: events.kr_contended_tail,
      queued: events.kr_contended_queued,
    },
    kshrinkd: policyHasKshrinkd(config.contended)
      ? config.nodes.map((_, nid) => kshrinkdOf(m, nid))
      : null,
    kcompressd:
      config.kcompressd === 'off' ? null : names.map((comm, row) => kcompressdOf(m, row, comm)),
  };
}
