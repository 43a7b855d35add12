// SPDX-License-Identifier: MIT
/**
 * Strategies in turn, an execution each. Random walks find what needs many switches in no
 * particular place, PCT what needs few in the right ones; which of the two a bug is, is not known
 * before it is found.
 */
import type { Control } from './control.ts';
import type { Outcome, Strategy } from './strategy.ts';

/** Runs until one of its parts has nothing left. */
export class MixStrategy implements Strategy {
  readonly name = 'mix';
  readonly #parts: readonly Strategy[];
  #turn = -1;

  /** @param parts one or more */
  constructor(parts: readonly Strategy[]) {
    this.#parts = parts;
  }

  prepare(control: Control): boolean {
    this.#turn = (this.#turn + 1) % this.#parts.length;
    return (this.#parts[this.#turn] as Strategy).prepare(control);
  }

  learn(outcome: Outcome, control: Control): void {
    (this.#parts[this.#turn] as Strategy).learn(outcome, control);
  }

  /** What each part says, by its name, and the name of the one that ran last. */
  describe(): Record<string, unknown> {
    const figures: Record<string, unknown> = { last: this.#parts[this.#turn]?.name ?? null };
    for (const part of this.#parts) {
      if (part.describe !== undefined) figures[part.name] = part.describe();
    }
    return figures;
  }
}
