// SPDX-License-Identifier: MIT
/**
 * What the race detector keeps besides the shadow, in one buffer that all threads of a scenario
 * share: clocks, the clocks of synchronising words, the races that were found, poisoned ranges.
 *
 *   header   HEADER_WORDS, W_*
 *   clocks   one vector of STRIDE words per thread
 *   places   one row per word that was accessed with Atomics, found by hashing its address and
 *            width: who released to it, and each thread's last atomic read and write of it
 *   races    RACE_WORDS per pair of sites, in the order of their finding
 *   poison   POISON_WORDS per range
 *
 * Protection: all of it is plain memory owned by the holder of the baton; no thread touches it at
 * any other time. Handing the baton on is what makes one thread's writes visible to the next.
 */
import { CLOCK_MAX, CLOCK_SHIFT } from './shadow.ts';

/** Epochs of this execution and later ones have clocks above this. */
export const W_BASE = 0;
/** Executions so far; rows of earlier ones are free. */
export const W_GENERATION = 1;
/** Rows of `races` in use. */
export const W_RACES = 2;
/** Races found, those whose pair of sites is recorded already included. */
export const W_RACES_SEEN = 3;
/** Ranges in `poison`. */
export const W_POISON = 4;
/** The greatest clock given out. */
export const W_CLOCK = 5;
/** 1: a granule was split, so cells of bytes are in use. */
export const W_SPLIT = 6;
/** Operations on words that found no row: their order is not followed. */
export const W_CROWDED = 7;
const HEADER_WORDS = 16;

/** Words of a vector clock. */
export const STRIDE = 16;

/** Columns of a row of `places`; vectors of STRIDE words. */
export const P_KEY = 0;
export const P_GENERATION = 1;
export const P_CLOCK = 16;
export const P_READ = P_CLOCK + STRIDE;
export const P_WRITE = P_READ + STRIDE;
export const P_READ_SITE = P_WRITE + STRIDE;
export const P_WRITE_SITE = P_READ_SITE + STRIDE;
export const PLACE_WORDS = P_WRITE_SITE + STRIDE;

export const RACES_MAX = 256;
/** Columns of a race: two accesses of ACCESS_WORDS each, where, how wide, how often. */
export const ACCESS_WORDS = 4;
export const A_SITE = 0;
export const A_THREAD = 1;
export const A_KIND = 2;
export const A_CLOCK = 3;
export const N_ADDRESS = 2 * ACCESS_WORDS;
export const N_BYTES = N_ADDRESS + 1;
export const N_TIMES = N_ADDRESS + 2;
export const RACE_WORDS = N_ADDRESS + 4;

export const POISON_MAX = 4096;
/** Columns of a poisoned range. */
export const Q_START = 0;
export const Q_END = 1;
export const Q_SITE = 2;
export const Q_THREAD = 3;
export const Q_CLOCK = 4;
export const POISON_WORDS = 8;

type Words = Int32Array<SharedArrayBuffer>;

/** The buffers of a detector; they travel to the threads. */
export interface RaceBuffers {
  readonly words: SharedArrayBuffer;
  readonly shadow: SharedArrayBuffer;
  readonly names: SharedArrayBuffer;
  /** Addresses below this are looked at. */
  readonly span: number;
  readonly threads: number;
}

/** Views of the detector's memory. */
export class RaceMemory {
  readonly header: Words;
  /** Rows of STRIDE words, by thread. */
  readonly clocks: Words;
  readonly places: Words;
  readonly placesMask: number;
  readonly races: Words;
  readonly poison: Words;

  constructor(buffer: SharedArrayBuffer) {
    let at = 0;
    const take = (count: number): Words => {
      const view = new Int32Array(buffer, at, count);
      at += count * 4;
      return view;
    };
    this.header = take(HEADER_WORDS);
    this.clocks = take(STRIDE * STRIDE);
    this.races = take(RACES_MAX * RACE_WORDS);
    this.poison = take(POISON_MAX * POISON_WORDS);
    const rows = Math.floor((buffer.byteLength - at) / (PLACE_WORDS * 4)) - 1;
    this.places = take((rows + 1) * PLACE_WORDS);
    this.placesMask = rows - 1;
  }

  /** @param span bytes of shared memory, which bounds the words in use */
  static allocate(span: number): SharedArrayBuffer {
    let rows = 256;
    while (rows < span / 2 && rows < 1 << 16) rows *= 2;
    const words =
      HEADER_WORDS + STRIDE * STRIDE + RACES_MAX * RACE_WORDS + POISON_MAX * POISON_WORDS;
    const buffer = new SharedArrayBuffer((words + (rows + 1) * PLACE_WORDS) * 4);
    new Int32Array(buffer)[W_CLOCK] = 1;
    return buffer;
  }

  /**
   * Begins an execution: what was before is ordered before all of it.
   * @returns false when clocks are used up and the shadow has to be cleared
   * @context no thread runs
   */
  begin(): boolean {
    const { header } = this;
    const ran = header[W_CLOCK] as number;
    const fits = ran < CLOCK_MAX / 2;
    const base = fits ? ran : 0;
    header[W_BASE] = base;
    header[W_CLOCK] = base;
    header[W_GENERATION] = ((header[W_GENERATION] as number) + 1) | 0;
    header[W_RACES] = 0;
    header[W_RACES_SEEN] = 0;
    header[W_POISON] = 0;
    header[W_CROWDED] = 0;
    this.clocks.fill(base);
    return fits;
  }

  /** Step of an epoch's clock, in its execution. */
  stepOf(clock: number): number {
    return ((clock - (this.header[W_BASE] as number)) >> 1) - 1;
  }

  /** @returns the row of a word, made when there is none, -1 when the table is full */
  place(key: number): number {
    const { places, placesMask } = this;
    const generation = this.header[W_GENERATION] as number;
    let slot = Math.imul(key, 0x9e3779b1) >>> 8;
    for (let probes = 0; probes < 64; probes++, slot++) {
      const row = (slot & placesMask) * PLACE_WORDS;
      const fresh = places[row + P_GENERATION] !== generation;
      if (fresh) {
        places.fill(0, row, row + PLACE_WORDS);
        places[row + P_KEY] = key;
        places[row + P_GENERATION] = generation;
        return row;
      }
      if (places[row + P_KEY] === key) return row;
    }
    return -1;
  }

  /** The row that all words share which found none: at the end of the table. */
  crowd(): number {
    const row = (this.placesMask + 1) * PLACE_WORDS;
    const generation = this.header[W_GENERATION] as number;
    if (this.places[row + P_GENERATION] !== generation) {
      this.places.fill(0, row, row + PLACE_WORDS);
      this.places[row + P_GENERATION] = generation;
    }
    return row;
  }

  /** @returns the row of a word, -1 when there is none */
  findPlace(key: number): number {
    const { places, placesMask } = this;
    const generation = this.header[W_GENERATION] as number;
    let slot = Math.imul(key, 0x9e3779b1) >>> 8;
    for (let probes = 0; probes < 64; probes++, slot++) {
      const row = (slot & placesMask) * PLACE_WORDS;
      if (places[row + P_GENERATION] !== generation) return -1;
      if (places[row + P_KEY] === key) return row;
    }
    return -1;
  }
}

/** @returns the epoch of a clock of a thread */
export function epochOf(clock: number, thread: number): number {
  return (clock << CLOCK_SHIFT) | thread;
}
