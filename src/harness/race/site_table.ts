// SPDX-License-Identifier: MIT
/**
 * Names of sites, in memory that all threads share: each thread loads the modules for itself, and
 * the thread that reports a race has to name a line that another one ran.
 *
 * The table only grows. An entry is a module (its URL and a row of line, column and kind for each
 * of its sites), a place that was found out at run time, the reason of a race that is meant, or a
 * note that a thread has for the others. The
 * first thread to bring an entry gives it its ids; the others find it. Sites count from 1; 0 is a
 * place that nobody knows. A table that is full gives 0.
 *
 *   header   N_*
 *   entry    hash, kind, first id, ids, bytes of text | text, padded | 3 words per site of a module
 */
import { memory } from '../native.ts';

/** @atomic 1 while somebody adds. */
const N_LOCK = 0;
/** @guardedBy N_LOCK  words in use, header included */
const N_USED = 1;
const N_NEXT_SITE = 2; // @guardedBy N_LOCK
const N_NEXT_REASON = 3; // @guardedBy N_LOCK
const HEADER_WORDS = 8;

const E_HASH = 0;
const E_KIND = 1;
const E_FIRST = 2;
const E_COUNT = 3;
const E_BYTES = 4;
const ENTRY_WORDS = 5;

const MODULE = 1;
const PLACE = 2;
const REASON = 3;
const NOTE = 4;

/** Words of a module's row per site: line, column, SITE_*. */
export const SITE_ROW = 3;
const REASONS_MAX = 255;
const TABLE_BYTES = 8 * 2 ** 20;

/** What is known of a site. */
export interface SitePlace {
  /** A URL, a path, or what else names a source; empty when nothing is known. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

const NOWHERE: SitePlace = { file: '', line: 0, column: 0 };

function hashOf(bytes: Uint8Array, seed: number): number {
  let hash = seed | 0;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** The table; see the header. */
export class SiteTable {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  static allocate(): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(TABLE_BYTES);
    const words = new Int32Array(buffer);
    words[N_USED] = HEADER_WORDS;
    words[N_NEXT_SITE] = 1;
    words[N_NEXT_REASON] = 1;
    return buffer;
  }

  /** @param table SITE_ROW numbers per site @returns id of the first site, 0 when it is full */
  module(url: string, table: readonly number[]): number {
    return this.#add(MODULE, url, table.length / SITE_ROW, table);
  }

  /** @param text `file:line:column` @returns its id, 0 when the table is full */
  place(text: string): number {
    return this.#add(PLACE, text, 1, []);
  }

  /** @returns the id of a reason, 1 .. 255; the last one for all that are too many */
  reason(text: string): number {
    return this.#add(REASON, text, 1, []) || REASONS_MAX;
  }

  /** Where a site is. */
  placeOf(site: number): SitePlace {
    let found = NOWHERE;
    this.#each((at, kind, first, count) => {
      if (kind === REASON || kind === NOTE || site < first || site >= first + count) return false;
      const text = this.#text(at);
      if (kind === PLACE) {
        const match = /^(.*):(\d+):(\d+)$/.exec(text);
        found =
          match === null
            ? { file: text, line: 0, column: 0 }
            : { file: match[1] as string, line: Number(match[2]), column: Number(match[3]) };
      } else {
        const row = this.#tail(at) + (site - first) * SITE_ROW;
        found = {
          file: text,
          line: this.#words[row] as number,
          column: this.#words[row + 1] as number,
        };
      }
      return true;
    });
    return found;
  }

  /** The text of a reason, empty when there is none. */
  reasonText(reason: number): string {
    let found = '';
    this.#each((at, kind, first) => {
      if (kind !== REASON || first !== reason) return false;
      found = this.#text(at);
      return true;
    });
    return found;
  }

  /** Leaves a text for whoever reads `notes`; each text once. */
  note(text: string): void {
    this.#add(NOTE, text, 1, []);
  }

  /** Notes of all threads, oldest first. */
  notes(): string[] {
    const found: string[] = [];
    this.#each((at, kind) => {
      if (kind === NOTE) found.push(this.#text(at));
      return false;
    });
    return found;
  }

  #each(visit: (at: number, kind: number, first: number, count: number) => boolean): void {
    const words = this.#words;
    const used = memory.load(words, N_USED);
    for (let at = HEADER_WORDS; at < used; at = this.#next(at)) {
      const kind = words[at + E_KIND] as number;
      if (visit(at, kind, words[at + E_FIRST] as number, words[at + E_COUNT] as number)) return;
    }
  }

  #tail(at: number): number {
    return at + ENTRY_WORDS + Math.ceil((this.#words[at + E_BYTES] as number) / 4);
  }

  #next(at: number): number {
    const rows = this.#words[at + E_KIND] === MODULE ? (this.#words[at + E_COUNT] as number) : 0;
    return this.#tail(at) + rows * SITE_ROW;
  }

  #text(at: number): string {
    const start = (at + ENTRY_WORDS) * 4;
    // A copy: TextDecoder takes no shared memory.
    const bytes = this.#bytes.slice(start, start + (this.#words[at + E_BYTES] as number));
    return new TextDecoder().decode(bytes);
  }

  #add(kind: number, text: string, count: number, table: readonly number[]): number {
    const bytes = new TextEncoder().encode(text);
    const hash = hashOf(bytes, table.length * 4 + kind);
    const words = this.#words;
    while (memory.compareExchange(words, N_LOCK, 0, 1) !== 0) memory.wait(words, N_LOCK, 1, 10);
    try {
      return this.#find(hash, kind, text, count) ?? this.#append(hash, kind, bytes, count, table);
    } finally {
      memory.store(words, N_LOCK, 0);
      memory.notify(words, N_LOCK);
    }
  }

  #find(hash: number, kind: number, text: string, count: number): number | null {
    let found: number | null = null;
    this.#each((at, entryKind, first, entryCount) => {
      if (this.#words[at + E_HASH] !== hash || entryKind !== kind) return false;
      if (entryCount !== count || this.#text(at) !== text) return false;
      found = first;
      return true;
    });
    return found;
  }

  #append(
    hash: number,
    kind: number,
    bytes: Uint8Array,
    count: number,
    table: readonly number[],
  ): number {
    const words = this.#words;
    const at = words[N_USED] as number;
    const textWords = Math.ceil(bytes.length / 4);
    const end = at + ENTRY_WORDS + textWords + table.length;
    const counter = kind === REASON ? N_NEXT_REASON : N_NEXT_SITE;
    const first = words[counter] as number;
    if (end > words.length || (kind === REASON && first >= REASONS_MAX)) return 0;
    words[at + E_HASH] = hash;
    words[at + E_KIND] = kind;
    words[at + E_FIRST] = first;
    words[at + E_COUNT] = count;
    words[at + E_BYTES] = bytes.length;
    this.#bytes.set(bytes, (at + ENTRY_WORDS) * 4);
    words.set(table, at + ENTRY_WORDS + textWords);
    words[counter] = first + count;
    memory.store(words, N_USED, end);
    return first;
  }
}
