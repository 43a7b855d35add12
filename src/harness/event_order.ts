// SPDX-License-Identifier: MIT
/**
 * What happens before what in one execution, from its log; the theory under the exhaustive search.
 *
 * Two steps of two threads are ordered when they are dependent (see ops.ts), when one made the
 * other possible, or through a third step. Executions with the same order lead to the same state,
 * so one of each kind is enough. A step i *races* with an earlier step j of another thread when
 * they are dependent and ordered by nothing else: then, and only then, the two could come the other
 * way round, and an execution in which they do must be looked at.
 *
 *   made possible by       the step before which its thread could not go on, and after which it
 *                          could: a notify, a write to a word that it spins on
 *   idle                   nobody could go on, so spinners looked again or time jumped: such a step
 *                          comes after all before it, since any of them might have gone on
 *
 * A step counts as what it came to here (`effect`): a store that changed nothing as a load, say.
 *
 * Order is kept as vector clocks, one row per step; component s of row i is 1 + the last step of
 * thread s that happens before step i or is i, 0 for none. Steps are appended and cut off at the
 * end, as the search goes down and up its tree; nothing is allocated per step.
 */
import {
  LOG_AUX,
  LOG_CHANGED,
  LOG_ENABLED,
  LOG_IDLE,
  LOG_LOC,
  LOG_SLEEP,
  LOG_SPINS,
  LOG_WHAT,
  LOG_WORDS,
  WATCH_MAX,
} from './control.ts';
import {
  dependent,
  effect,
  OP_CLOCK,
  OP_LOAD,
  OP_NOTIFY,
  OP_RELAX,
  OP_RESUME,
  OP_YIELD,
  opTouches,
  opWrites,
} from './ops.ts';

/** Steps that the first allocation holds. */
const CAPACITY_FIRST = 256;
/** Bytes of a cell: steps that touch a cell are chained. A wider access is in no chain. */
const CELL_SHIFT = 3;
/** Steps of a spinner that are looked at, at most. */
const SPIN_WINDOW = 256;

/** The steps of one execution, or of the part of it that was kept. */
export class EventOrder {
  readonly threads: number;
  length = 0;
  /** Columns, by step. */
  thread: Uint8Array;
  kind: Uint8Array;
  loc: Int32Array;
  bytes: Int32Array;
  /** Threads that could have been chosen, as bits. */
  enabled: Int32Array;
  /** Threads that were asleep, as bits. */
  sleep: Int32Array;
  aux: Int32Array;
  /** Earlier steps that the step appended last races with, latest first: `raceCount` of them. */
  races: Int32Array;
  raceCount = 0;

  #clock: Int32Array;
  /** 1 for a spinner's further looks at a word. */
  #again: Uint8Array;
  /** Step of the same thread before this one, -1 none. */
  #own: Int32Array;
  /** Step of the same cell before this one, -1 none. */
  #chain: Int32Array;
  /** Cell of this step, -1 for a step that is in no chain. */
  #cell: Int32Array;
  /** Latest idle step up to this one, -1 none. */
  #barrier: Int32Array;
  /** Last step of each thread, -1 none. */
  readonly #last: Int32Array;
  /** Last step of each cell, -1 none; cells are numbered as they come. */
  #heads: Int32Array;
  readonly #cells = new Map<number, number>();
  /** Steps whose access reaches over a cell: while there is one, chains do not do. */
  #wide = 0;
  readonly #watched: boolean;
  /** Scratch of `markSpin`: steps of a spinner, latest first, and the words that it looks at. */
  readonly #window = new Int32Array(SPIN_WINDOW);
  readonly #looked = {
    locs: new Int32Array(WATCH_MAX),
    values: new Int32Array(WATCH_MAX),
    looks: new Int32Array(WATCH_MAX),
    since: new Int32Array(WATCH_MAX),
  };
  /** Scratch of `initials`: first step of each thread, -1 none. */
  readonly #first: Int32Array;

  /** @param watched any two changes are ordered, of different words too */
  constructor(threads: number, watched = false) {
    this.#watched = watched;
    this.threads = threads;
    const n = CAPACITY_FIRST;
    this.thread = new Uint8Array(n);
    this.kind = new Uint8Array(n);
    this.loc = new Int32Array(n);
    this.bytes = new Int32Array(n);
    this.enabled = new Int32Array(n);
    this.sleep = new Int32Array(n);
    this.aux = new Int32Array(n);
    this.races = new Int32Array(n);
    this.#clock = new Int32Array(n * threads);
    this.#own = new Int32Array(n);
    this.#again = new Uint8Array(n);
    this.#chain = new Int32Array(n);
    this.#cell = new Int32Array(n);
    this.#barrier = new Int32Array(n);
    this.#last = new Int32Array(threads).fill(-1);
    this.#heads = new Int32Array(n).fill(-1);
    this.#first = new Int32Array(threads);
  }

  /** True when step j happens before step i, or is it. */
  before(j: number, i: number): boolean {
    return (this.#clock[i * this.threads + (this.thread[j] as number)] as number) > j;
  }

  /** Step of the same thread before step i, -1 none. */
  ownBefore(i: number): number {
    return this.#own[i] as number;
  }

  /** Cuts off the steps from `length` on. */
  truncate(length: number): void {
    for (let i = this.length - 1; i >= length; i--) {
      this.#last[this.thread[i] as number] = this.#own[i] as number;
      const cell = this.#cell[i] as number;
      if (cell >= 0) this.#heads[cell] = this.#chain[i] as number;
      else if (opTouches(this.kind[i] as number)) this.#wide--;
    }
    this.length = Math.min(this.length, length);
  }

  /** Appends step i of a log, and finds the races that it ends. @param i is `length` */
  append(log: Int32Array, i: number): void {
    if (i >= this.thread.length) this.#grow();
    const at = i * LOG_WORDS;
    const what = log[at + LOG_WHAT] as number;
    const flags = log[at + LOG_SLEEP] as number;
    const aux = log[at + LOG_AUX] as number;
    this.thread[i] = what & 0xff;
    this.kind[i] = effect((what >> 8) & 0xff, (flags & LOG_CHANGED) !== 0, aux);
    this.loc[i] = log[at + LOG_LOC] as number;
    this.bytes[i] = what >>> 16;
    this.enabled[i] = log[at + LOG_ENABLED] as number;
    this.sleep[i] = flags & ~(LOG_IDLE | LOG_CHANGED | LOG_SPINS);
    this.aux[i] = aux;
    this.#order(i, (flags & LOG_IDLE) !== 0);
    if ((flags & LOG_SPINS) !== 0) this.#markSpin(i);
  }

  /**
   * Appends a step that was not executed: one that its thread had posted when all ended.
   * @context `truncate` by one follows
   */
  appendPending(thread: number, kind: number, loc: number, bytes: number): void {
    const i = this.length;
    if (i >= this.thread.length) this.#grow();
    this.thread[i] = thread;
    this.kind[i] = kind;
    this.loc[i] = loc;
    this.bytes[i] = bytes;
    this.enabled[i] = 1 << thread;
    this.sleep[i] = 0;
    this.aux[i] = 0;
    this.#order(i, false);
  }

  /** Places step i, its columns set, in the order. */
  #order(i: number, idle: boolean): void {
    const t = this.thread[i] as number;
    const width = this.threads;
    const row = i * width;
    const own = this.#last[t] as number;
    const clock = this.#clock;
    if (own < 0) clock.fill(0, row, row + width);
    else clock.copyWithin(row, own * width, (own + 1) * width);
    this.#own[i] = own;
    this.#again[i] = 0;
    this.length = i + 1;
    this.#barrier[i] = idle ? i : i > 0 ? (this.#barrier[i - 1] as number) : -1;
    this.#joinIdle(i);
    this.#joinWaker(i);
    this.raceCount = 0;
    this.#link(i);
    clock[row + t] = i + 1;
    this.#last[t] = i;
  }

  #join(row: number, j: number): void {
    const clock = this.#clock;
    const width = this.threads;
    const from = j * width;
    for (let s = 0; s < width; s++) {
      const theirs = clock[from + s] as number;
      if (theirs > (clock[row + s] as number)) clock[row + s] = theirs;
    }
  }

  /** Everything before the latest idle step comes before i, which is that step or comes later. */
  #joinIdle(i: number): void {
    const b = this.#barrier[i] as number;
    if (b <= (this.#own[i] as number)) return;
    const width = this.threads;
    const row = i * width;
    if (b === i) {
      for (let s = 0; s < width; s++) this.#clock[row + s] = (this.#last[s] as number) + 1;
      return;
    }
    const idler = this.thread[b] as number;
    const kept = Math.max(this.#clock[row + idler] as number, (this.#own[b] as number) + 1);
    this.#join(row, b);
    this.#clock[row + idler] = kept;
  }

  /** What made step i possible comes before it. */
  #joinWaker(i: number): void {
    const own = this.#own[i] as number;
    const bit = 1 << (this.thread[i] as number);
    if (own < 0 || own === i - 1) return;
    const resumes = this.kind[i] === OP_RESUME;
    if (!resumes && ((this.enabled[own + 1] as number) & bit) !== 0) return;
    const floor = Math.max(own, (this.#barrier[i] as number) - 1);
    for (let k = i - 1; k > floor; k--) {
      const woken = this.kind[k] === OP_NOTIFY && ((this.aux[k] as number) & bit) !== 0;
      const appeared = (this.enabled[k + 1] as number) & ~(this.enabled[k] as number) & bit;
      if (!woken && appeared === 0) continue;
      this.#join(i * this.threads, k);
      return;
    }
  }

  /** Enters step i in the chain of its cell, and joins and lists what it races with. */
  #link(i: number): void {
    const kind = this.kind[i] as number;
    this.#cell[i] = -1;
    if (!opTouches(kind)) return;
    const loc = this.loc[i] as number;
    const cell = loc >> CELL_SHIFT;
    if ((loc + (this.bytes[i] as number) - 1) >> CELL_SHIFT !== cell) {
      this.#wide++;
    } else {
      const id = this.#cellId(cell);
      this.#cell[i] = id;
      this.#chain[i] = this.#heads[id] as number;
      this.#heads[id] = i;
    }
    if (this.#wide > 0 || this.#watched) {
      for (let j = i - 1; j >= 0; j--) this.#meet(i, j);
      return;
    }
    let floor = this.#settled(i);
    for (let j = this.#chain[i] as number; j >= floor; j = this.#chain[j] as number) {
      if (this.#meet(i, j)) floor = this.#settled(i);
    }
  }

  /** @returns true when step i races with step j, which is then before it */
  #meet(i: number, j: number): boolean {
    const row = i * this.threads;
    if ((this.#clock[row + (this.thread[j] as number)] as number) > j) return false;
    const touches = dependent(
      this.kind[j] as number,
      this.loc[j] as number,
      this.bytes[j] as number,
      this.kind[i] as number,
      this.loc[i] as number,
      this.bytes[i] as number,
    );
    const seen =
      this.#watched && opWrites(this.kind[j] as number) && opWrites(this.kind[i] as number);
    if (!touches && !seen) return false;
    if (this.raceCount === this.races.length) this.races = wider(this.races);
    const look = this.#firstLook(j);
    if (look >= (this.#clock[row + (this.thread[j] as number)] as number)) {
      this.races[this.raceCount++] = look;
    }
    this.#join(row, j);
    return true;
  }

  /**
   * The thread of step i was found to spin: its looks at a word that it had looked at before, with
   * the same result, are rounds of a loop. It makes no difference after which round the word is
   * changed, so the last look before them races in their place. The first look counts, since it may
   * stand before the loop, and the second one too, unless a pause shows that the loop had begun.
   */
  #markSpin(i: number): void {
    const window = this.#window;
    let count = 0;
    for (let k = i; k >= 0 && isRound(this.kind[k] as number); k = this.#own[k] as number) {
      if (count === window.length) break;
      window[count++] = k;
    }
    let pauses = 0;
    let words = 0;
    const { locs, values, looks, since } = this.#looked;
    for (let n = count - 1; n >= 0; n--) {
      const k = window[n] as number;
      if (this.kind[k] !== OP_LOAD) {
        pauses++;
        continue;
      }
      let word = 0;
      while (word < words && locs[word] !== this.loc[k]) word++;
      if (word === WATCH_MAX) return;
      if (word === words || values[word] !== this.aux[k]) {
        locs[word] = this.loc[k] as number;
        values[word] = this.aux[k] as number;
        looks[word] = 0;
        since[word] = pauses;
        words = Math.max(words, word + 1);
      }
      looks[word] = (looks[word] as number) + 1;
      const before = looks[word] as number;
      if (before > 2 || (before === 2 && pauses > (since[word] as number))) this.#again[k] = 1;
    }
  }

  /** The look that counts for step j: of a spinner's rounds the one before them, else j. */
  #firstLook(j: number): number {
    let k = j;
    while (k >= 0 && (this.#again[k] === 1 || (k !== j && this.loc[k] !== this.loc[j]))) {
      k = this.#own[k] as number;
    }
    return k;
  }

  /** Steps below this one are all before step i, or its thread's own. */
  #settled(i: number): number {
    const t = this.thread[i] as number;
    const row = i * this.threads;
    let floor = i;
    for (let s = 0; s < this.threads; s++) {
      const last = this.#last[s] as number;
      const known = this.#clock[row + s] as number;
      if (s !== t && known <= last && known < floor) floor = known;
    }
    return floor;
  }

  #cellId(cell: number): number {
    let id = this.#cells.get(cell);
    if (id === undefined) {
      id = this.#cells.size;
      this.#cells.set(cell, id);
      if (id === this.#heads.length) {
        const heads = new Int32Array(2 * id).fill(-1);
        heads.set(this.#heads);
        this.#heads = heads;
      }
    }
    return id;
  }

  /**
   * Who may go first at step j so that, in what follows, step i comes before step j: threads whose
   * first step in the part of j .. i that does not depend on j has nothing of that part before it.
   * @param j a step that races with i @returns bits
   */
  initials(j: number, i: number): number {
    const first = this.#first.fill(-1);
    let mask = 0;
    for (let k = j + 1; k <= i; k++) {
      if (k < i && this.before(j, k)) continue;
      const t = this.thread[k] as number;
      if (first[t] !== -1) continue;
      let free = true;
      for (let s = 0; s < this.threads && free; s++) {
        const other = first[s] as number;
        if (other !== -1 && this.before(other, k)) free = false;
      }
      first[t] = k;
      if (free) mask |= 1 << t;
    }
    return mask;
  }

  #grow(): void {
    this.thread = wider(this.thread);
    this.kind = wider(this.kind);
    this.loc = wider(this.loc);
    this.bytes = wider(this.bytes);
    this.enabled = wider(this.enabled);
    this.sleep = wider(this.sleep);
    this.aux = wider(this.aux);
    this.#clock = wider(this.#clock);
    this.#own = wider(this.#own);
    this.#again = wider(this.#again);
    this.#chain = wider(this.#chain);
    this.#cell = wider(this.#cell);
    this.#barrier = wider(this.#barrier);
  }
}

/** True for a step that a spinner's round may consist of. */
function isRound(kind: number): boolean {
  return kind === OP_LOAD || kind === OP_RELAX || kind === OP_CLOCK || kind === OP_YIELD;
}

/** A copy of twice the length. */
export function wider<T extends Uint8Array | Int32Array>(column: T): T {
  const Column = column.constructor as new (length: number) => T;
  const copy = new Column(2 * column.length);
  copy.set(column);
  return copy;
}
