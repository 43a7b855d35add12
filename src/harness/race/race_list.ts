// SPDX-License-Identifier: MIT
/**
 * The races of an execution: each pair of sites once, with the first two accesses that met there
 * and how often the pair was seen. A pair of which one side is marked as meant to race
 * (`kreclaim-racy`, `racy(...)`) is kept too, and told apart by the reason in its site word.
 */
import {
  A_CLOCK,
  A_KIND,
  A_SITE,
  A_THREAD,
  ACCESS_WORDS,
  N_ADDRESS,
  N_BYTES,
  N_TIMES,
  RACE_WORDS,
  RACES_MAX,
  type RaceMemory,
  W_RACES,
  W_RACES_SEEN,
} from './race_memory.ts';

/** A site word: a site's id, and above it the id of the reason for which it may race. */
export const SITE_BITS = 22;
export const SITE_MASK = (1 << SITE_BITS) - 1;

/** One side of a race. */
export interface RacyAccess {
  readonly site: number;
  readonly thread: number;
  /** OP_* */
  readonly kind: number;
  readonly clock: number;
}

/** Two accesses that nothing orders; `first` was made first. */
export interface RawRace {
  readonly first: RacyAccess;
  readonly second: RacyAccess;
  readonly address: number;
  readonly bytes: number;
  readonly times: number;
  /** Id of the reason why it is meant, 0 when it is not. */
  readonly reason: number;
}

/** @returns id of the reason in a site word, 0 none */
export function reasonOf(site: number): number {
  return site >>> SITE_BITS;
}

/** The list; see the header. */
export class RaceList {
  readonly #memory: RaceMemory;
  /** Called for each race that is not meant, after it was recorded; it may throw. */
  onRace: ((race: RawRace) => void) | null = null;

  constructor(memory: RaceMemory) {
    this.#memory = memory;
  }

  /** Records a race. @throws what `onRace` throws */
  add(first: RacyAccess, second: RacyAccess, address: number, bytes: number): void {
    const { header, races } = this.#memory;
    header[W_RACES_SEEN] = (header[W_RACES_SEEN] as number) + 1;
    const count = header[W_RACES] as number;
    for (let i = 0; i < count; i++) {
      const row = i * RACE_WORDS;
      const a = races[row + A_SITE];
      const b = races[row + ACCESS_WORDS + A_SITE];
      if ((a === first.site && b === second.site) || (a === second.site && b === first.site)) {
        races[row + N_TIMES] = (races[row + N_TIMES] as number) + 1;
        return;
      }
    }
    if (count === RACES_MAX) return;
    const row = count * RACE_WORDS;
    this.#write(row, first);
    this.#write(row + ACCESS_WORDS, second);
    races[row + N_ADDRESS] = address;
    races[row + N_BYTES] = bytes;
    races[row + N_TIMES] = 1;
    header[W_RACES] = count + 1;
    const race = this.#read(count);
    if (race.reason === 0) this.onRace?.(race);
  }

  #write(row: number, access: RacyAccess): void {
    const { races } = this.#memory;
    races[row + A_SITE] = access.site;
    races[row + A_THREAD] = access.thread;
    races[row + A_KIND] = access.kind;
    races[row + A_CLOCK] = access.clock;
  }

  /** Races of this execution, oldest first. */
  all(): RawRace[] {
    return Array.from({ length: this.#memory.header[W_RACES] as number }, (_, i) => this.#read(i));
  }

  #read(index: number): RawRace {
    const { races } = this.#memory;
    const row = index * RACE_WORDS;
    const access = (at: number): RacyAccess => ({
      site: races[at + A_SITE] as number,
      thread: races[at + A_THREAD] as number,
      kind: races[at + A_KIND] as number,
      clock: races[at + A_CLOCK] as number,
    });
    const first = access(row);
    const second = access(row + ACCESS_WORDS);
    return {
      first,
      second,
      address: races[row + N_ADDRESS] as number,
      bytes: races[row + N_BYTES] as number,
      times: races[row + N_TIMES] as number,
      reason: reasonOf(first.site) || reasonOf(second.site),
    };
  }
}
