// SPDX-License-Identifier: GPL-2.0-only
/** Latency histograms, one set per thread: fault, major fault, allocation stall. */
import { histogramAdd } from '../../shared/histogram.ts';
import { type Mm, NR_HISTOGRAMS } from './mm.ts';

/** @param kind HIST_* @param ns duration, 0 and up @context any thread; its own cells */
export function recordLatency(m: Mm, kind: number, ns: number): void {
  histogramAdd(m.histogram, m.task.id * NR_HISTOGRAMS + kind, ns);
}
