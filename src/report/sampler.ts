// SPDX-License-Identifier: GPL-2.0-only
/**
 * Samples a running machine: counters and free pages over time, for the report's series and for
 * whoever watches. Runs on the main thread's timer; workers know nothing of it.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import type { Mm } from '../mm/mm.ts';
import { totalFree } from '../mm/show_mem.ts';
import { nrSwapPages, totalSwapPages } from '../mm/swap_info.ts';
import { vmEvent } from '../mm/vmstat.ts';
import { EV, type VmEvent } from '../mm/vmstat_items.ts';
import type { SeriesReport } from './run_report.ts';
import { totalEvents } from './snapshot.ts';

/** The series' period. */
export const SAMPLE_MS = 250;

/** Events of each sample beside `time_ms`, `events`, `nr_free_pages` and `swap_used`. */
const SAMPLED: readonly VmEvent[] = [
  'pgfault',
  'pgmajfault',
  'pgscan_kswapd',
  'pgscan_direct',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'memcg_pgscan_direct',
  'memcg_pgsteal_direct',
  'pswpin',
  'pswpout',
  'allocstall_normal',
  'workingset_refault_anon',
];

/** Everything sampled at one instant, by name. */
export type Sample = Readonly<Record<string, number>>;

export function readSample(m: Mm, timeMs: number): Sample {
  const sample: Record<string, number> = {
    time_ms: Math.round(timeMs),
    events: totalEvents(m),
    nr_free_pages: totalFree(m),
    swap_used: totalSwapPages(m) - nrSwapPages(m),
  };
  for (const name of SAMPLED) sample[name] = vmEvent(m, EV[name]);
  return sample;
}

/** Takes a sample every SAMPLE_MS from `start` to `stop`, and one at each end. */
export class Sampler {
  readonly #m: Mm;
  readonly #onSample: ((sample: Sample) => void) | undefined;
  readonly #samples: Sample[] = [];
  #startNs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(m: Mm, onSample?: (sample: Sample) => void) {
    this.#m = m;
    this.#onSample = onSample;
  }

  start(): void {
    this.#startNs = ktimeNs();
    this.#take();
    this.#timer = setInterval(() => this.#take(), SAMPLE_MS);
  }

  /** May be called again. */
  stop(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#take();
  }

  series(): SeriesReport[] {
    const names = Object.keys(this.#samples[0] ?? {});
    return names.map((name) => ({
      name,
      periodMs: SAMPLE_MS,
      values: this.#samples.map((sample) => sample[name] as number),
    }));
  }

  #take(): void {
    const sample = readSample(this.#m, (ktimeNs() - this.#startNs) / 1e6);
    this.#samples.push(sample);
    this.#onSample?.(sample);
  }
}
