// SPDX-License-Identifier: MIT
/**
 * Shadow memory: for every four bytes that threads share (a *granule*), who wrote them last and
 * when each thread read them last.
 *
 *   write[g]      epoch of the last write          writeSite[g]    where that was
 *   read[t][g]    epoch of thread t's last read    readSite[t][g]  where that was
 *
 *   epoch   sign: poisoned | clock: 27 bits | thread: 4 bits        0: never
 *
 * Every thread has read cells of its own, so that the commonest question, "have I read this since
 * my last step?", is one comparison, and there is no switch between an epoch and a vector as in
 * FastTrack: with at most 16 threads the vector is affordable.
 *
 * Accesses that cover a part of a granule *split* it: SPLIT stands in its cells, and cells of the
 * same shape exist for each of its bytes. They are address space only, until they are touched.
 * A split granule stays split; neighbours of one byte never share a cell then, so they never race.
 *
 * Clocks go on from one execution to the next. An epoch of an earlier execution is older than all
 * that this one begins with, hence ordered, hence harmless: nothing is cleared in between.
 */

/** Threads of an execution in which races are looked for. */
export const RACE_THREADS_MAX = 15;
/** Stands in the cells of a granule that is looked at byte by byte. */
export const SPLIT = 0x7fff_ffff;
export const POISON = 1 << 31;
export const CLOCK_SHIFT = 4;
export const THREAD_MASK = 15;
/** Clocks are below this; the shadow is cleared before they reach it. */
export const CLOCK_MAX = 1 << 26;
/** Bytes that the shadow may take. */
const SHADOW_BYTES_MAX = 4 * 2 ** 30;

type Words = Int32Array<SharedArrayBuffer>;

/** Cells of one grain, granules or bytes. */
export class Cells {
  readonly write: Words;
  readonly writeSite: Words;
  readonly read: readonly Words[];
  readonly readSite: readonly Words[];

  /** @param count cells of each kind, from `first` on in `buffer` */
  constructor(buffer: SharedArrayBuffer, first: number, count: number, threads: number) {
    const row = (index: number): Words =>
      new Int32Array(buffer, (first + index * count) * 4, count);
    this.write = row(0);
    this.writeSite = row(1);
    this.read = Array.from({ length: threads }, (_, t) => row(2 + t));
    this.readSite = Array.from({ length: threads }, (_, t) => row(2 + threads + t));
  }

  /** @returns words that cells of so many bytes take */
  static words(count: number, threads: number): number {
    return (2 + 2 * threads) * count;
  }

  /** Forgets everything. */
  clear(): void {
    for (const cells of [this.write, ...this.read]) cells.fill(0);
  }
}

/** The shadow of all shared memory. */
export class Shadow {
  readonly granules: Cells;
  readonly bytes: Cells;
  /** 1 in each bit of log2 of a width by which a granule was accessed with Atomics. */
  readonly atomics: Uint8Array<SharedArrayBuffer>;
  /** Bytes that it covers. */
  readonly span: number;
  readonly threads: number;

  /** @param span addresses are below it @param threads 1 .. RACE_THREADS_MAX */
  constructor(buffer: SharedArrayBuffer, span: number, threads: number) {
    const granules = Math.ceil(span / 4);
    this.span = span;
    this.threads = threads;
    this.granules = new Cells(buffer, 0, granules, threads);
    const first = Cells.words(granules, threads);
    this.bytes = new Cells(buffer, first, granules * 4, threads);
    const end = first + Cells.words(granules * 4, threads);
    this.atomics = new Uint8Array(buffer, end * 4, granules);
  }

  /** Makes the memory for a shadow. @throws RangeError when it would be too large */
  static allocate(span: number, threads: number): SharedArrayBuffer {
    const granules = Math.ceil(span / 4);
    const words = Cells.words(granules, threads) + Cells.words(granules * 4, threads);
    const bytes = words * 4 + granules;
    if (threads > RACE_THREADS_MAX) {
      throw new RangeError(`race detection takes at most ${RACE_THREADS_MAX} threads`);
    }
    if (bytes > SHADOW_BYTES_MAX) {
      throw new RangeError(
        `race detection of ${span} shared bytes by ${threads} threads needs ` +
          `${Math.ceil(bytes / 2 ** 20)} MiB of address space; at most 4096`,
      );
    }
    return new SharedArrayBuffer(bytes);
  }

  /** Has this granule looked at byte by byte from now on. */
  split(g: number): void {
    const { granules, bytes } = this;
    if (granules.write[g] === SPLIT) return;
    for (let b = g * 4; b < g * 4 + 4; b++) {
      bytes.write[b] = granules.write[g] as number;
      bytes.writeSite[b] = granules.writeSite[g] as number;
      for (let t = 0; t < this.threads; t++) {
        (bytes.read[t] as Words)[b] = (granules.read[t] as Words)[g] as number;
        (bytes.readSite[t] as Words)[b] = (granules.readSite[t] as Words)[g] as number;
      }
    }
    granules.write[g] = SPLIT;
    for (let t = 0; t < this.threads; t++) (granules.read[t] as Words)[g] = SPLIT;
  }

  /** Forgets everything, when clocks start again. */
  clear(): void {
    this.granules.clear();
    this.bytes.clear();
  }
}
