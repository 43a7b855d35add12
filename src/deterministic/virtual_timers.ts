// SPDX-License-Identifier: GPL-2.0-only
/**
 * Timers that go by virtual time: what `setTimeout` and `setInterval` are on the host thread of a
 * deterministic machine.
 *
 * Nothing fires by itself. Whoever runs the host asks for the next deadline, lets virtual time come
 * there, and calls `fireDue`, which runs what is due in the order of deadlines, and of creation
 * where those are equal. So the order of the host's doings follows from virtual time alone.
 *
 * Delays are as Node takes them: at least 1 ms, 1 ms for what is no number. `ref` and `unref` do
 * nothing: a host ends when its work is done.
 */

type Callback = (...args: unknown[]) => void;

/** What `setTimeout` returns here; enough of Node's `Timeout` for those who hold one. */
export class VirtualTimeout {
  readonly id: number;
  readonly #timers: VirtualTimers;

  constructor(timers: VirtualTimers, id: number) {
    this.#timers = timers;
    this.id = id;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return this.#timers.pending(this.id);
  }

  refresh(): this {
    this.#timers.refresh(this.id);
    return this;
  }

  close(): this {
    this.#timers.clear(this);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.id;
  }
}

interface Entry {
  readonly callback: Callback;
  readonly args: readonly unknown[];
  readonly delayMs: number;
  readonly repeats: boolean;
  atMs: number;
  /** Orders entries of one deadline. */
  order: number;
}

function delayOf(ms: unknown): number {
  const delay = Number(ms);
  return delay >= 1 && delay < 2 ** 31 ? Math.trunc(delay) : 1;
}

export class VirtualTimers {
  readonly #now: () => number;
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;
  #lastOrder = 0;

  /** @param now virtual time in ms; must not go back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `setTimeout` */
  readonly setTimeout = (callback: Callback, ms?: number, ...args: unknown[]): VirtualTimeout =>
    this.#add(callback, delayOf(ms), args, false);

  /** `setInterval` */
  readonly setInterval = (callback: Callback, ms?: number, ...args: unknown[]): VirtualTimeout =>
    this.#add(callback, delayOf(ms), args, true);

  /** `clearTimeout` and `clearInterval` */
  readonly clear = (timeout: unknown): void => {
    const id = timeout instanceof VirtualTimeout ? timeout.id : Number(timeout);
    this.#entries.delete(id);
  };

  pending(id: number): boolean {
    return this.#entries.has(id);
  }

  refresh(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.atMs = this.#now() + entry.delayMs;
    entry.order = ++this.#lastOrder;
  }

  /** The earliest deadline, in ms of virtual time; Infinity when there is none. */
  nextMs(): number {
    let next = Infinity;
    for (const { atMs } of this.#entries.values()) next = Math.min(next, atMs);
    return next;
  }

  /**
   * Runs everything whose time has come.
   * @param turn awaited after each callback, so that what it resolved is seen before the next
   * @returns how many were run
   */
  async fireDue(turn: () => Promise<void>): Promise<number> {
    const now = this.#now();
    let fired = 0;
    for (;;) {
      const id = this.#firstDue(now);
      if (id === 0) return fired;
      const entry = this.#entries.get(id) as Entry;
      if (entry.repeats) {
        entry.atMs = now + entry.delayMs;
        entry.order = ++this.#lastOrder;
      } else {
        this.#entries.delete(id);
      }
      entry.callback(...entry.args);
      fired++;
      await turn();
    }
  }

  /** Makes them the timers of this thread's globals. */
  install(): void {
    Object.assign(globalThis, {
      setTimeout: this.setTimeout,
      setInterval: this.setInterval,
      clearTimeout: this.clear,
      clearInterval: this.clear,
    });
  }

  #add(
    callback: Callback,
    delayMs: number,
    args: readonly unknown[],
    repeats: boolean,
  ): VirtualTimeout {
    const id = ++this.#lastId;
    const atMs = this.#now() + delayMs;
    this.#entries.set(id, { callback, args, delayMs, repeats, atMs, order: ++this.#lastOrder });
    return new VirtualTimeout(this, id);
  }

  /** @returns the id of the first entry that is due, 0 for none */
  #firstDue(now: number): number {
    let first = 0;
    let best: Entry | null = null;
    for (const [id, entry] of this.#entries) {
      if (entry.atMs > now) continue;
      const sooner =
        best === null ||
        entry.atMs < best.atMs ||
        (entry.atMs === best.atMs && entry.order < best.order);
      if (!sooner) continue;
      first = id;
      best = entry;
    }
    return first;
  }
}
