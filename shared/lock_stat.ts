// SPDX-License-Identifier: MIT
/**
 * Lock statistics: one cell per thread, class and side, written by its thread alone with plain
 * stores, summed by whoever reads.
 *
 * Acquisitions and contentions are exact. Wait time is taken on contended acquisitions only: from
 * the first failed attempt to ownership. Hold time is sampled: the first acquisition of a cell and
 * every HOLD_SAMPLE_EVERY-th after it, unless a sample of another lock still runs in the thread. A
 * sample whose lock is handed to another thread is dropped.
 *
 * In the text of `/proc/lock_stat` (version 0.4) the bounce columns and holdtime-min are printed as
 * 0: they are not measured. holdtime-total is the sampled mean times the acquisitions.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { ktimeNs } from './ktime.ts';
import { LOCK_CLASSES_MAX, THREADS_MAX } from './limits.ts';

const STAT_COLUMNS = {
  cell: 'f64', // @owner the row's thread  @racy readers: a live total may be one behind
} as const;

export interface LockStatTable extends Columns<typeof STAT_COLUMNS> {
  /** Classes that have cells; 0 when statistics are off. */
  readonly classes: number;
}

/** Acquisitions between two hold samples of a cell. A power of two. */
export const HOLD_SAMPLE_EVERY = 64;

/** Layout of a cell: one cache line. */
const ACQUISITIONS = 0;
const CONTENTIONS = 1;
const WAIT_TOTAL = 2;
const WAIT_MAX = 3;
const WAIT_MIN = 4;
const HOLD_SAMPLES = 5;
const HOLD_TOTAL = 6;
const HOLD_MAX = 7;
const CELL = 8;
/** Cells per class: write (or only) side, read side. */
const SIDES = 2;

/** @param classes lock classes of the domain, 0 to have no table */
export function declareLockStat(builder: ArenaBuilder, classes: number): LockStatTable {
  const cells = THREADS_MAX * classes * SIDES * CELL;
  return { ...builder.columns('lockstat', STAT_COLUMNS, cells), classes };
}

/**
 * This thread's cells (private ones, that nobody reads, while statistics are off), and its running
 * hold sample: cell number plus 1, or 0, of which lock, since when. One object: see held_locks.ts.
 */
const stat = {
  cells: new Float64Array(LOCK_CLASSES_MAX * SIDES * CELL) as Float64Array,
  sampled: 0,
  address: 0,
  since: 0.5, // a fraction, so that the field holds a float from the start
};

/** @context once per worker, before its first lock; `null` ends it */
export function enterLockStat(table: LockStatTable | null, id: number): void {
  const cells = (table === null ? LOCK_CLASSES_MAX : table.classes) * SIDES * CELL;
  stat.cells =
    table === null ? new Float64Array(cells) : table.cell.subarray(id * cells, (id + 1) * cells);
  stat.sampled = 0;
}

/**
 * Counts an acquisition, and starts a hold sample when one is due and none runs.
 * @param side 0 write or only side, 1 read side @param at the lock's address
 */
export function statAcquired(cls: number, side: number, at: number): void {
  const cell = (cls * SIDES + side) * CELL;
  const nr = stat.cells[cell] as number;
  stat.cells[cell] = nr + 1;
  if ((nr & (HOLD_SAMPLE_EVERY - 1)) === 0 && stat.sampled === 0) startSample(cls, side, at);
}

function startSample(cls: number, side: number, at: number): void {
  stat.sampled = cls * SIDES + side + 1;
  stat.address = at;
  stat.since = ktimeNs();
}

/** Ends the hold sample of that lock if it is the one that runs. */
export function statReleased(cls: number, side: number, at: number): void {
  if (stat.sampled === cls * SIDES + side + 1 && stat.address === at) endSample();
}

function endSample(): void {
  const cell = (stat.sampled - 1) * CELL;
  const heldNs = ktimeNs() - stat.since;
  stat.sampled = 0;
  stat.cells[cell + HOLD_SAMPLES] = (stat.cells[cell + HOLD_SAMPLES] as number) + 1;
  stat.cells[cell + HOLD_TOTAL] = (stat.cells[cell + HOLD_TOTAL] as number) + heldNs;
  if (heldNs > (stat.cells[cell + HOLD_MAX] as number)) stat.cells[cell + HOLD_MAX] = heldNs;
}

/** Counts an acquisition of something that is not held afterwards (a permit). */
export function statTaken(cls: number): void {
  const cell = cls * SIDES * CELL;
  stat.cells[cell] = (stat.cells[cell] as number) + 1;
}

/** Drops the running hold sample if it is that lock's: another thread will release it. */
export function statHoldDrop(cls: number, side: number, at: number): void {
  if (stat.sampled === cls * SIDES + side + 1 && stat.address === at) stat.sampled = 0;
}

/** Counts a contended acquisition. @param waitNs from the first failed attempt to ownership */
export function statContended(cls: number, side: number, waitNs: number): void {
  const cell = (cls * SIDES + side) * CELL;
  const min = stat.cells[cell + WAIT_MIN] as number;
  const nr = stat.cells[cell + CONTENTIONS] as number;
  stat.cells[cell + CONTENTIONS] = nr + 1;
  stat.cells[cell + WAIT_TOTAL] = (stat.cells[cell + WAIT_TOTAL] as number) + waitNs;
  if (waitNs > (stat.cells[cell + WAIT_MAX] as number)) stat.cells[cell + WAIT_MAX] = waitNs;
  if (nr === 0 || waitNs < min) stat.cells[cell + WAIT_MIN] = waitNs;
}

/** Sums of one class and side over all threads. Times in ns. */
export interface LockStatRow {
  /** Class name, with -W or -R where the class has acquisitions of its read side. */
  readonly class: string;
  readonly cls: number;
  readonly read: boolean;
  readonly acquisitions: number;
  readonly contentions: number;
  readonly waitNsTotal: number;
  readonly waitNsMin: number;
  readonly waitNsMax: number;
  readonly holdSamples: number;
  readonly holdNsTotal: number;
  readonly holdNsMax: number;
}

type Sums = Omit<LockStatRow, 'class' | 'cls' | 'read'>;

function sumCells(table: LockStatTable, cls: number, side: number): Sums {
  const stride = table.classes * SIDES * CELL;
  const sums = new Float64Array(CELL);
  for (let id = 0; id < THREADS_MAX; id++) {
    const cell = id * stride + (cls * SIDES + side) * CELL;
    const at = (offset: number) => table.cell[cell + offset] as number;
    if (at(ACQUISITIONS) === 0) continue;
    for (const sum of [ACQUISITIONS, CONTENTIONS, WAIT_TOTAL, HOLD_SAMPLES, HOLD_TOTAL]) {
      sums[sum] = (sums[sum] as number) + at(sum);
    }
    for (const max of [WAIT_MAX, HOLD_MAX]) sums[max] = Math.max(sums[max] as number, at(max));
    if (at(CONTENTIONS) > 0) {
      const min = sums[WAIT_MIN] as number;
      sums[WAIT_MIN] = min === 0 ? at(WAIT_MIN) : Math.min(min, at(WAIT_MIN));
    }
  }
  const [acquisitions = 0, contentions = 0, waitNsTotal = 0, waitNsMax = 0] = sums;
  const [waitNsMin = 0, holdSamples = 0, holdNsTotal = 0, holdNsMax = 0] = sums.subarray(WAIT_MIN);
  return {
    acquisitions,
    contentions,
    waitNsTotal,
    waitNsMin,
    waitNsMax,
    holdSamples,
    holdNsTotal,
    holdNsMax,
  };
}

/**
 * Sums the statistics of every class that was used, most contended first.
 * @param names class id to name
 * @returns one row per class and side with acquisitions; none when statistics are off
 * @context any thread; exact once the domain's threads are still
 */
export function sumLockStat(table: LockStatTable, names: readonly string[]): LockStatRow[] {
  const rows: LockStatRow[] = [];
  for (let cls = 0; cls < table.classes; cls++) {
    const name = names[cls] ?? `class ${cls}`;
    const write = sumCells(table, cls, 0);
    const read = sumCells(table, cls, 1);
    const suffix = read.acquisitions > 0 ? '-W' : '';
    if (write.acquisitions > 0) rows.push({ class: name + suffix, cls, read: false, ...write });
    if (read.acquisitions > 0) rows.push({ class: `${name}-R`, cls, read: true, ...read });
  }
  return rows.sort((a, b) => b.contentions - a.contentions || b.acquisitions - a.acquisitions);
}

/**
 * Clears every cell, as writing 0 to /proc/lock_stat does. @context threads may lose one count each
 */
export function clearLockStat(table: LockStatTable): void {
  table.cell.fill(0);
}
