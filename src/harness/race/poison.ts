// SPDX-License-Identifier: MIT
/**
 * Memory that was given back: a range is poisoned when it is freed, unpoisoned when it is handed
 * out again, and whatever touches it in between, plainly or with Atomics, used it after its free.
 *
 * The mark is the sign of the range's shadow cells: it makes every cell differ from every epoch, so
 * that the fast path of an access, which compares the two, finds it without looking for it. Ranges
 * need not be aligned; granules that they cover in part are split. While nothing is poisoned this
 * costs nothing.
 */
import {
  POISON_MAX,
  POISON_WORDS,
  Q_CLOCK,
  Q_END,
  Q_SITE,
  Q_START,
  Q_THREAD,
  type RaceMemory,
  W_POISON,
} from './race_memory.ts';
import { type Cells, POISON, type Shadow, SPLIT } from './shadow.ts';

/** Who freed or touched a range, and when. */
export interface PoisonMark {
  /** Site word. */
  readonly site: number;
  readonly thread: number;
  readonly clock: number;
}

/** An access to poisoned memory. */
export interface RawUse {
  readonly address: number;
  readonly freed: PoisonMark;
  readonly used: PoisonMark;
  /** OP_* of the access. */
  readonly kind: number;
}

/** The poisoned ranges. @owner the holder of the baton */
export class PoisonTable {
  readonly #memory: RaceMemory;
  readonly #shadow: Shadow;
  /** Called for each access to poisoned memory; it may throw. */
  onUse: ((use: RawUse) => void) | null = null;

  constructor(memory: RaceMemory, shadow: Shadow) {
    this.#memory = memory;
    this.#shadow = shadow;
  }

  /**
   * Poisons start .. end-1.
   * @throws RangeError when POISON_MAX ranges are poisoned already
   */
  add(start: number, end: number, mark: PoisonMark): void {
    const { header, poison } = this.#memory;
    const count = header[W_POISON] as number;
    if (count === POISON_MAX) throw new RangeError(`more than ${POISON_MAX} poisoned ranges`);
    const row = count * POISON_WORDS;
    poison[row + Q_START] = start;
    poison[row + Q_END] = end;
    poison[row + Q_SITE] = mark.site;
    poison[row + Q_THREAD] = mark.thread;
    poison[row + Q_CLOCK] = mark.clock;
    header[W_POISON] = count + 1;
    this.#mark(start, end, true);
  }

  /** Unpoisons start .. end-1; ranges that reach beyond keep the rest. */
  remove(start: number, end: number): void {
    const { header, poison } = this.#memory;
    this.#mark(start, end, false);
    for (let i = (header[W_POISON] as number) - 1; i >= 0; i--) {
      const row = i * POISON_WORDS;
      const from = poison[row + Q_START] as number;
      const to = poison[row + Q_END] as number;
      if (to <= start || from >= end) continue;
      if (from < start) poison[row + Q_END] = start;
      else if (to > end) poison[row + Q_START] = end;
      else {
        const last = (header[W_POISON] as number) - 1;
        poison.copyWithin(row, last * POISON_WORDS, (last + 1) * POISON_WORDS);
        header[W_POISON] = last;
        continue;
      }
      // What is left on the far side of a hole is a range of its own.
      if (from < start && to > end) this.#remainder(row, end, to);
    }
  }

  #remainder(row: number, start: number, end: number): void {
    const { header, poison } = this.#memory;
    const count = header[W_POISON] as number;
    if (count === POISON_MAX) return;
    const to = count * POISON_WORDS;
    poison.copyWithin(to, row, row + POISON_WORDS);
    poison[to + Q_START] = start;
    poison[to + Q_END] = end;
    header[W_POISON] = count + 1;
  }

  /** Unpoisons everything. */
  clear(): void {
    const { header, poison } = this.#memory;
    for (let i = 0; i < (header[W_POISON] as number); i++) {
      const row = i * POISON_WORDS;
      this.#mark(poison[row + Q_START] as number, poison[row + Q_END] as number, false);
    }
    header[W_POISON] = 0;
  }

  /** An access met a poisoned cell. @throws what `onUse` throws */
  touched(address: number, used: PoisonMark, kind: number): void {
    const { header, poison } = this.#memory;
    let freed: PoisonMark = { site: 0, thread: -1, clock: 0 };
    for (let i = 0; i < (header[W_POISON] as number); i++) {
      const row = i * POISON_WORDS;
      if (address + 4 <= (poison[row + Q_START] as number)) continue;
      if (address >= (poison[row + Q_END] as number)) continue;
      freed = {
        site: poison[row + Q_SITE] as number,
        thread: poison[row + Q_THREAD] as number,
        clock: poison[row + Q_CLOCK] as number,
      };
    }
    this.onUse?.({ address, freed, used, kind });
  }

  #mark(start: number, end: number, on: boolean): void {
    const shadow = this.#shadow;
    for (let at = start; at < end; ) {
      const g = at >> 2;
      const stop = Math.min(end, g * 4 + 4);
      if (stop - at < 4) shadow.split(g);
      if (shadow.granules.write[g] !== SPLIT) this.#cell(shadow.granules, g, on);
      else for (let b = at; b < stop; b++) this.#cell(shadow.bytes, b, on);
      at = stop;
    }
  }

  #cell(cells: Cells, i: number, on: boolean): void {
    for (const row of [cells.write, ...cells.read]) {
      row[i] = on ? (row[i] as number) | POISON : (row[i] as number) & ~POISON;
    }
  }
}
