// SPDX-License-Identifier: MIT
/**
 * Lock-order prediction: from runs that did not deadlock, orders of acquisition that could.
 *
 * An *edge* A -> B of thread t says that t took B, by an operation that may block, while it held
 * A; its *guards* are all locks that t held then. A cycle of edges is an inversion when its threads
 * are all different and no two edges share a guard: a lock that both hold (a gate) keeps the two
 * from being in it at the same time.
 *
 *   t1: A B      t2: B A        A -> B -> A                    inversion
 *   t1: G A B    t2: G B A      the same, but both hold G      none
 *   t1: A B      t1: B A        one thread                     none
 *   t1: A try B  t2: B A        a try does not wait            none
 *
 * A lock that is held for reading guards nothing, and does not stop another reader. What is found
 * is a prediction: that the two threads can be there at the same time is not known (their parts may
 * be ordered by something that is no lock), so it is shown and fails nothing.
 */

/** How a lock is taken. */
export interface Acquisition {
  /** Identity among all threads: an address, a name. */
  readonly lock: string;
  /** For reports. */
  readonly name: string;
  /** Where: `file:line`, or several of them, innermost first. */
  readonly site: string;
  /** It could not have blocked. */
  readonly tried?: boolean;
  /** Shared with other readers. */
  readonly read?: boolean;
  /** Found by watching its word, not said by the code. */
  readonly inferred?: boolean;
}

/** Thread `thread` took `to` while it held `from`. */
export interface LockEdge {
  readonly thread: number;
  readonly from: Acquisition;
  readonly to: Acquisition;
  /** Locks held for themselves alone, `from` with them. */
  readonly guards: readonly string[];
}

/** Edges that close a cycle, each of another thread: the first `from` is the last `to`. */
export interface LockInversion {
  readonly edges: readonly LockEdge[];
  /** One line. */
  readonly message: string;
  /** A lock of it was found by watching its word. */
  readonly inferred: boolean;
}

/** Threads of an inversion, at most. */
const CYCLE_MAX = 5;

/** What the threads hold, and the edges so far. */
export class LockOrder {
  readonly #held = new Map<number, Acquisition[]>();
  readonly #edges = new Map<string, LockEdge>();
  /** Called for each edge that was not seen before. */
  onEdge: ((edge: LockEdge) => void) | null = null;

  /** Thread `thread` has the lock from here on. */
  acquired(thread: number, taken: Acquisition): void {
    const held = this.#held.get(thread) ?? [];
    this.#held.set(thread, held);
    if (taken.tried !== true && held.length > 0) {
      const guards = held.filter(({ read }) => read !== true).map(({ lock }) => lock);
      for (const from of held) {
        if (from.lock !== taken.lock) this.add({ thread, from, to: taken, guards });
      }
    }
    held.push(taken);
  }

  /** Thread `thread` gives the lock back: its newest acquisition of it. */
  released(thread: number, lock: string): void {
    const held = this.#held.get(thread);
    if (held === undefined) return;
    const at = held.findLastIndex((entry) => entry.lock === lock);
    if (at >= 0) held.splice(at, 1);
  }

  /** The thread begins anew and holds nothing. */
  reset(thread: number): void {
    this.#held.delete(thread);
  }

  /** Adds an edge that was found elsewhere. */
  add(edge: LockEdge): void {
    const key = keyOf(edge);
    if (this.#edges.has(key)) return;
    this.#edges.set(key, edge);
    this.onEdge?.(edge);
  }

  /** @returns inversions, each set of locks once, shortest first */
  inversions(): LockInversion[] {
    const all = [...this.#edges.values()];
    const found = new Map<string, LockInversion>();
    const path: LockEdge[] = [];
    const extend = (): void => {
      const last = path.at(-1) as LockEdge;
      const start = (path[0] as LockEdge).from;
      if (path.length > 1 && last.to.lock === start.lock) {
        if (excludes(last.to, start)) note(found, path);
        return;
      }
      if (path.length === CYCLE_MAX) return;
      for (const next of all) {
        if (next.from.lock !== last.to.lock || !excludes(last.to, next.from)) continue;
        // Each cycle is found from its smallest lock alone.
        if (next.from.lock < start.lock || !compatible(path, next)) continue;
        path.push(next);
        extend();
        path.pop();
      }
    };
    for (const edge of all) {
      path.push(edge);
      extend();
      path.pop();
    }
    return [...found.values()].sort((a, b) => a.edges.length - b.edges.length);
  }
}

function keyOf({ thread, from, to, guards }: LockEdge): string {
  const parts = [thread, from.lock, from.read === true, to.lock, to.read === true, from.site];
  return JSON.stringify([...parts, to.site, [...guards].sort()]);
}

/** Who waits for `wanted` waits for who has `had`. */
function excludes(wanted: Acquisition, had: Acquisition): boolean {
  return wanted.read !== true || had.read !== true;
}

/** Its thread is no other edge's, and no lock keeps it from being held together with them. */
function compatible(path: readonly LockEdge[], next: LockEdge): boolean {
  return path.every(
    (edge) =>
      edge.thread !== next.thread && !edge.guards.some((lock) => next.guards.includes(lock)),
  );
}

function note(found: Map<string, LockInversion>, path: readonly LockEdge[]): void {
  const key = path.map(({ from }) => from.lock).join(' ');
  if (found.has(key)) return;
  const edges = [...path];
  found.set(key, {
    edges,
    message: messageOf(edges),
    inferred: edges.some(({ from, to }) => from.inferred === true || to.inferred === true),
  });
}

function messageOf(edges: readonly LockEdge[]): string {
  const parts = edges.map(
    ({ thread, from, to }) =>
      `thread ${thread} takes ${to.name} at ${to.site} holding ${from.name} from ${from.site}`,
  );
  return `locks in opposite orders: ${parts.join('; ')}`;
}
