// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a run shows while it runs, on standard error: a few lines redrawn in place on a terminal, a
 * line a second elsewhere. `CI` and `TERM=dumb` ask for lines; `NO_COLOR` for no colour.
 */
import process from 'node:process';
import type { Mm } from '../mm/mm.ts';
import type { Sample } from '../report/sampler.ts';
import { formatNumber } from '../report/text_table.ts';

/** Width of the bar of free pages. */
const BAR_WIDTH = 24;
/** Lines elsewhere come so often. */
const LINE_MS = 1000;

interface Marks {
  readonly min: number;
  readonly low: number;
  readonly high: number;
}

export interface ProgressTarget {
  readonly stream: NodeJS.WriteStream;
  readonly live: boolean;
  readonly color: boolean;
}

/** Where and how progress is shown, by the environment. */
export function progressTarget(): ProgressTarget {
  const stream = process.stderr;
  const { CI, TERM, NO_COLOR } = process.env;
  const live = stream.isTTY === true && (CI ?? '') === '' && TERM !== 'dumb';
  return { stream, live, color: live && (NO_COLOR ?? '') === '' };
}

function sumMarks(m: Mm): Marks {
  const sum = (column: Int32Array): number => {
    let pages = 0;
    for (let zone = 0; zone < m.sizes.nrZones; zone++) pages += column[zone] as number;
    return pages;
  };
  return { min: sum(m.zone.wmarkMin), low: sum(m.zone.wmarkLow), high: sum(m.zone.wmarkHigh) };
}

/** Free pages on a scale that ends at twice the high watermark, with the marks on it. */
function freeBar(free: number, marks: Marks): string {
  const scale = Math.max(2 * marks.high, 1);
  const column = (pages: number): number =>
    Math.min(BAR_WIDTH - 1, Math.floor((pages * BAR_WIDTH) / scale));
  const filled = column(free);
  const cells: string[] = [...'='.repeat(filled), ...' '.repeat(BAR_WIDTH - filled)];
  cells[column(marks.min)] = 'm';
  cells[column(marks.low)] = 'l';
  cells[column(marks.high)] = 'h';
  return `[${cells.join('')}]`;
}

/** Shows samples as they come. */
export class Progress {
  readonly #target: ProgressTarget;
  readonly #totalEvents: number;
  readonly #note: () => string;
  #marks: Marks = { min: 0, low: 0, high: 0 };
  #previous: Sample | null = null;
  #lineAtMs = LINE_MS;
  #drawn = 0;

  /**
   * @param totalEvents accesses that the run will make, 0 where unknown
   * @param note how far it is in the scenario's own words, empty for nothing
   */
  constructor(target: ProgressTarget, totalEvents: number, note: () => string = () => '') {
    this.#target = target;
    this.#totalEvents = totalEvents;
    this.#note = note;
  }

  boot(m: Mm): void {
    this.#marks = sumMarks(m);
  }

  show(sample: Sample): void {
    const before = this.#previous;
    const time = sample.time_ms as number;
    if (this.#target.live) {
      if (before !== null) this.#redraw(sample, before);
      this.#previous = sample;
      return;
    }
    if (time < this.#lineAtMs) {
      this.#previous ??= sample;
      return;
    }
    this.#lineAtMs += LINE_MS;
    this.#target.stream.write(`${this.#line(sample, before ?? sample)}\n`);
    this.#previous = sample;
  }

  /** Takes the live lines away. */
  end(): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#drawn > 0) this.#target.stream.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }

  #redraw(sample: Sample, before: Sample): void {
    const lines = this.#liveLines(sample, before);
    this.#clear();
    this.#target.stream.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }

  /** Per second, since the sample before. */
  #rates(sample: Sample, before: Sample): (...names: string[]) => string {
    const elapsedMs = (sample.time_ms as number) - (before.time_ms as number);
    const seconds = Math.max(elapsedMs, 1) / 1000;
    return (...names) => {
      const delta = names.reduce((sum, name) => {
        return sum + (sample[name] as number) - (before[name] as number);
      }, 0);
      return formatNumber(delta / seconds);
    };
  }

  #done(sample: Sample): string {
    const note = this.#note();
    if (note !== '') return ` ${note}`;
    if (this.#totalEvents === 0) return '';
    return ` ${Math.floor((100 * (sample.events as number)) / this.#totalEvents)} %`;
  }

  #line(sample: Sample, before: Sample): string {
    const rate = this.#rates(sample, before);
    const seconds = ((sample.time_ms as number) / 1000).toFixed(1);
    const scan = rate('pgscan_kswapd', 'pgscan_direct', 'memcg_pgscan_direct');
    const steal = rate('pgsteal_kswapd', 'pgsteal_direct', 'memcg_pgsteal_direct');
    return (
      `${seconds} s${this.#done(sample)}: ${rate('events')} events/s, ` +
      `free ${formatNumber(sample.nr_free_pages as number)}, scan ${scan}/s, steal ${steal}/s, ` +
      `swap in ${rate('pswpin')}/s out ${rate('pswpout')}/s`
    );
  }

  #liveLines(sample: Sample, before: Sample): string[] {
    const { min, low, high } = this.#marks;
    const rate = this.#rates(sample, before);
    const free = sample.nr_free_pages as number;
    const bold = this.#target.color ? (text: string) => `\x1b[1m${text}\x1b[22m` : String;
    const seconds = ((sample.time_ms as number) / 1000).toFixed(1);
    const scan = rate('pgscan_kswapd', 'pgscan_direct', 'memcg_pgscan_direct');
    const steal = rate('pgsteal_kswapd', 'pgsteal_direct', 'memcg_pgsteal_direct');
    return [
      `${bold(`${seconds} s`)}${this.#done(sample)}   ${bold(rate('events'))} events/s`,
      `free  ${freeBar(free, this.#marks)} ${bold(formatNumber(free))} pages ` +
        `(min ${min}, low ${low}, high ${high})`,
      `scan  ${bold(scan)}/s   steal ${bold(steal)}/s   ` +
        `swap in ${bold(rate('pswpin'))}/s out ${bold(rate('pswpout'))}/s`,
    ];
  }
}
