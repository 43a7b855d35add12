// SPDX-License-Identifier: MIT
/**
 * The search for a linearization: Wing and Gong's algorithm with Lowe's memory of what failed.
 *
 * A history is *linearizable* when each operation can be given one instant between its call and its
 * end such that, taken one after another in that order, the operations give the recorded results.
 * The search walks the events (calls and ends, in order of time) in a doubly linked list:
 *
 *   - at a call it asks the model; if the model allows the operation now, the operation is taken:
 *     both its events leave the list, and the walk starts again from the front;
 *   - at an end it is stuck: that operation should have been taken before. The last one taken goes
 *     back into the list, and the walk continues behind its call.
 *
 * A *configuration* is which operations were taken, and the model's state. One that was seen before
 * is not entered again, which makes the common case linear. Operations are numbered by their ends:
 * all up to a *base* are taken, and beyond it at most one per thread, since whatever was taken was
 * called before the base operation ended. So a configuration's key is a few numbers and the state.
 */
import { isDeepStrictEqual } from 'node:util';
import type { History, Operation } from './history.ts';
import { real } from './native.ts';

/** What a model says to an operation: the state after it and, where it is fixed, its result. */
export interface Applied<S> {
  readonly state: S;
  /** Compared with the recorded result, deeply; absent: the model accepts the recorded one. */
  readonly result?: unknown;
}

/** A sequential specification. States are values: `apply` returns a new one and changes none. */
export interface Model<S> {
  readonly name: string;
  /** @param key of the part, for models that are partitioned */
  init(key?: string | number): S;
  /** @returns null when the operation, with its recorded result, cannot happen in `state` */
  apply(state: S, operation: Operation): Applied<S> | null;
  /** Equal keys mean equal states. Left out: the state itself, or its JSON. */
  key?(state: S): string | number;
  /** Operations of different parts do not influence each other; each part is checked alone. */
  partition?(operation: Operation): string | number;
}

/** Where the search came furthest. */
export interface Furthest<S> {
  /** Numbers, in the order by end, of the operations taken, in the order in which they were. */
  readonly order: readonly number[];
  readonly state: S;
  /** Number of the operation whose end could not be passed; -1 before the search was stuck. */
  readonly stuck: number;
}

export interface Search<S> {
  readonly outcome: 'found' | 'none' | 'timeout';
  /** Operations by their ends, pending ones last: what the numbers mean. */
  readonly operations: History;
  readonly furthest: Furthest<S>;
  readonly configurations: number;
}

/** The events of a history as a doubly linked list. Node 0 is the head; -1 is the end. */
class EventList {
  readonly operation: Int32Array;
  readonly isCall: Uint8Array;
  readonly callAt: Int32Array;
  readonly endAt: Int32Array;
  readonly #next: Int32Array;
  readonly #prev: Int32Array;

  constructor(operations: History) {
    const events: { stamp: number; rank: number; index: number; call: boolean }[] = [];
    operations.forEach(({ call, end }, index) => {
      events.push({ stamp: call, rank: 2 * index + (end === call ? 0 : 1), index, call: true });
      if (end !== null) events.push({ stamp: end, rank: 2 * index, index, call: false });
    });
    // Equal stamps are of one thread: an end stands before the call of that thread's next
    // operation, and an operation's own call before its end.
    events.sort((a, b) => a.stamp - b.stamp || a.rank - b.rank || Number(b.call) - Number(a.call));
    const size = events.length + 1;
    this.operation = new Int32Array(size).fill(-1);
    this.isCall = new Uint8Array(size);
    this.callAt = new Int32Array(operations.length).fill(-1);
    this.endAt = new Int32Array(operations.length).fill(-1);
    this.#next = Int32Array.from({ length: size }, (_, node) => (node + 1 < size ? node + 1 : -1));
    this.#prev = Int32Array.from({ length: size }, (_, node) => node - 1);
    events.forEach(({ index, call }, at) => {
      this.operation[at + 1] = index;
      this.isCall[at + 1] = Number(call);
      (call ? this.callAt : this.endAt)[index] = at + 1;
    });
  }

  next(node: number): number {
    return this.#next[node] as number;
  }

  /** Takes the operation's events out. */
  lift(index: number): void {
    this.#unlink(this.callAt[index] as number);
    if (this.endAt[index] !== -1) this.#unlink(this.endAt[index] as number);
  }

  /** Puts back the operation that was lifted last. */
  unlift(index: number): void {
    if (this.endAt[index] !== -1) this.#relink(this.endAt[index] as number);
    this.#relink(this.callAt[index] as number);
  }

  #unlink(node: number): void {
    const [prev, next] = [this.#prev[node] as number, this.#next[node] as number];
    this.#next[prev] = next;
    if (next !== -1) this.#prev[next] = prev;
  }

  #relink(node: number): void {
    const [prev, next] = [this.#prev[node] as number, this.#next[node] as number];
    this.#next[prev] = node;
    if (next !== -1) this.#prev[next] = node;
  }
}

interface Frame<S> {
  readonly index: number;
  readonly state: S;
  readonly base: number;
  readonly beyond: readonly number[];
}

const CLOCK_EVERY = 256;
/** Configurations that are remembered; a search that needs more ends as if its time were up. */
export const CONFIGURATIONS_MAX = 2_000_000;

/** @returns the operations that ended, by their ends, then the pending ones, by their calls */
export function byEnd(history: History): History {
  const ended = history.filter((operation) => operation.end !== null);
  const pending = history.filter((operation) => operation.end === null);
  ended.sort((a, b) => (a.end as number) - (b.end as number));
  pending.sort((a, b) => a.call - b.call);
  return [...ended, ...pending];
}

/** @returns what the model says, or null when the operation's recorded result is not its answer */
export function tryApply<S>(model: Model<S>, state: S, operation: Operation): Applied<S> | null {
  const applied = model.apply(state, operation);
  if (applied === null || operation.end === null || !('result' in applied)) return applied;
  return sameResult(applied.result, operation.result) ? applied : null;
}

function sameResult(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  return isDeepStrictEqual(a, b);
}

/** @returns a key of the state: equal for equal states, and for no others */
export function stateKey<S>(model: Model<S>, state: S): string | number {
  if (model.key !== undefined) return model.key(state);
  return typeof state === 'number' ? state : JSON.stringify(state);
}

/**
 * Searches one part of a history.
 * @param deadline on the clock `real.now`, in ms
 */
export function searchOrder<S>(history: History, model: Model<S>, deadline: number): Search<S> {
  return new Searcher(byEnd(history), model, model.init(partOf(history, model)), deadline).run();
}

function partOf<S>(history: History, model: Model<S>): string | number | undefined {
  return history[0] === undefined ? undefined : model.partition?.(history[0]);
}

class Searcher<S> {
  readonly #operations: History;
  readonly #ended: number;
  readonly #model: Model<S>;
  readonly #deadline: number;
  readonly #events: EventList;
  readonly #seen = new Set<string>();
  readonly #stack: Frame<S>[] = [];
  #state: S;
  /** All operations that ended are taken up to here, this one not. */
  #base = 0;
  /** Those taken beyond it, ascending, never changed in place. */
  #beyond: readonly number[] = [];
  #furthest: Furthest<S>;
  #furthestAt = -1;

  constructor(operations: History, model: Model<S>, initial: S, deadline: number) {
    this.#operations = operations;
    this.#ended = operations.filter((operation) => operation.end !== null).length;
    this.#model = model;
    this.#deadline = deadline;
    this.#events = new EventList(operations);
    this.#state = initial;
    this.#furthest = { order: [], state: initial, stuck: -1 };
  }

  run(): Search<S> {
    const events = this.#events;
    let node = events.next(0);
    for (let steps = 1; ; steps++) {
      if (this.#base === this.#ended) return this.#result('found');
      if (steps % CLOCK_EVERY === 0 && this.#late()) return this.#result('timeout');
      const index = events.operation[node] as number;
      if (events.isCall[node] === 1) {
        node = this.#take(index) ? events.next(0) : events.next(node);
        continue;
      }
      this.#note(node, index);
      const undone = this.#undo();
      if (undone === -1) return this.#result('none');
      node = events.next(events.callAt[undone] as number);
    }
  }

  #late(): boolean {
    return real.now() > this.#deadline || this.#seen.size > CONFIGURATIONS_MAX;
  }

  /** @returns false when the model forbids it, or the configuration was seen before */
  #take(index: number): boolean {
    const operation = this.#operations[index] as Operation;
    const applied = tryApply(this.#model, this.#state, operation);
    if (applied === null) return false;
    let base = this.#base;
    let beyond = this.#beyond;
    if (index === base) {
      for (base++; beyond[0] === base && base < this.#ended; base++) beyond = beyond.slice(1);
    } else {
      beyond = [...beyond, index].sort((a, b) => a - b);
    }
    const key = `${base}|${beyond.join()}|${stateKey(this.#model, applied.state)}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    this.#stack.push({ index, state: this.#state, base: this.#base, beyond: this.#beyond });
    this.#state = applied.state;
    this.#base = base;
    this.#beyond = beyond;
    this.#events.lift(index);
    return true;
  }

  /** @returns the operation that was taken last and now is not, -1 when there was none */
  #undo(): number {
    const frame = this.#stack.pop();
    if (frame === undefined) return -1;
    this.#state = frame.state;
    this.#base = frame.base;
    this.#beyond = frame.beyond;
    this.#events.unlift(frame.index);
    return frame.index;
  }

  /** Remembers the latest end that the search was stuck at, and the longest order that led there */
  #note(node: number, stuck: number): void {
    if (node < this.#furthestAt) return;
    if (node === this.#furthestAt && this.#stack.length <= this.#furthest.order.length) return;
    this.#furthestAt = node;
    this.#furthest = { order: this.#order(), state: this.#state, stuck };
  }

  #order(): number[] {
    return this.#stack.map((frame) => frame.index);
  }

  #result(outcome: Search<S>['outcome']): Search<S> {
    const here = { order: this.#order(), state: this.#state, stuck: -1 };
    const furthest = outcome === 'none' || this.#furthestAt !== -1 ? this.#furthest : here;
    return {
      outcome,
      operations: this.#operations,
      furthest: outcome === 'found' ? here : furthest,
      configurations: this.#seen.size,
    };
  }
}
