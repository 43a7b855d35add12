// SPDX-License-Identifier: MIT
/**
 * What a thread keeps of its own steps when its execution is traced for a listing: the stack that
 * led to each, and the values that it saw and left. Stacks repeat, above all where a thread spins,
 * so each is kept once; and of many steps the last ones are kept, which are those that a listing
 * shows.
 */

/** As it travels. */
export interface StepTrace {
  readonly stacks: readonly string[];
  /** step, index in `stacks`, step, index ... */
  readonly sites: readonly number[];
  /** step, value seen, value left (of a wait: the expected one), step ... */
  readonly values: readonly (number | bigint)[];
}

/** Steps that are kept, at least; twice as many at most. */
const KEPT = 8000;

/** Grows during one execution of one thread. */
export class TraceLog {
  readonly #stacks: string[] = [];
  readonly #index = new Map<string, number>();
  #sites: number[] = [];
  #values: (number | bigint)[] = [];

  /** The step was taken from here. @param stack as `Error` has it, empty for unknown */
  site(step: number, stack: string): void {
    let index = this.#index.get(stack);
    if (index === undefined) {
      index = this.#stacks.push(stack) - 1;
      this.#index.set(stack, index);
    }
    if (this.#sites.length >= 4 * KEPT) this.#sites = this.#sites.slice(2 * KEPT);
    this.#sites.push(step, index);
  }

  /** The step saw one value and left another, or the same. */
  values(step: number, seen: number | bigint, left: number | bigint): void {
    if (this.#values.length >= 6 * KEPT) this.#values = this.#values.slice(3 * KEPT);
    this.#values.push(step, seen, left);
  }

  /** @returns what was kept */
  result(): StepTrace {
    return { stacks: this.#stacks, sites: this.#sites, values: this.#values };
  }
}
