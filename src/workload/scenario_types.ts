// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a scenario is: options of its own in, a workload and a machine out. What its programs count
 * goes to cells of shared memory, a row for each CPU, so that the run can be watched and reported.
 */
import type { MachineConfig } from '../config_schema.ts';
import { oneLine, UsageError } from '../errors.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import type { Workload } from '../run_machine.ts';
import { formatBytes, parseSize } from '../size.ts';

export interface ScenarioOption {
  /** As the library names it: `fileSize` is `--file-size`. */
  readonly name: string;
  /** What follows the flag on the command line; empty for a switch. */
  readonly value: string;
  readonly description: string;
}

/** What a plan is made from. */
export interface PlanInput {
  /** The machine's configuration: what it says stands. */
  readonly config: MachineConfig;
  /** Options of the scenario, as written. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly seed: number;
  /** Accesses of each trace, undefined for the scenario's own number. */
  readonly events: number | undefined;
}

/** What to run. */
export interface ScenarioPlan {
  readonly config: MachineConfig;
  readonly workload: Workload;
  /** How far it is, in a few words, at any time. */
  readonly progress?: () => string;
}

export interface Scenario {
  readonly description: string;
  readonly options: readonly ScenarioOption[];
  /** What a user should know of it, a line each. */
  readonly remarks?: readonly string[];
  /** @throws UsageError for a value that will not do */
  readonly plan: (input: PlanInput) => ScenarioPlan;
}

/** `--file-size` for `fileSize` */
export function scenarioFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Tables whose size the user may give: too small a one would end a scenario at its first step. */
type Rooms = Partial<Record<'memcgsMax' | 'shrinkersMax' | 'mountsMax', number>>;

/** @param needs the least of each table @throws UsageError for one that the user made smaller */
export function checkRoom(config: MachineConfig, needs: Rooms): void {
  for (const [name, need] of Object.entries(needs)) {
    const given = config[name as keyof Rooms];
    if (typeof given !== 'number' || given >= need) continue;
    const hint = `the scenario needs ${need}; give so many, or leave it out`;
    throw new UsageError(`${scenarioFlag(name)}: ${given} is too little: ${hint}`);
  }
}

/** Reads options, each with its bounds. */
export class OptionReader {
  readonly #options: PlanInput['options'];

  constructor(options: PlanInput['options']) {
    this.#options = options;
  }

  /** A whole number in low..high. */
  integer(name: string, fallback: number, low: number, high: number): number {
    const given = this.#options[name];
    if (given === undefined) return fallback;
    const value = typeof given === 'string' && /^\d{1,9}$/.test(given.trim()) ? +given : given;
    if (Number.isInteger(value) && +value >= low && +value <= high) return +value;
    throw this.#bad(name, `give an integer in ${low}..${high}`);
  }

  /** A number, not necessarily whole. */
  number(name: string, fallback: number, low: number, high: number): number {
    const given = this.#options[name];
    if (given === undefined) return fallback;
    const number = typeof given === 'boolean' || given === '' ? Number.NaN : Number(given);
    if (number >= low && number <= high) return number;
    throw this.#bad(name, `give a number in ${low}..${high}`);
  }

  /** A size in pages, at least one and at most `most`. */
  pages(name: string, fallback: number, most: number): number {
    const given = this.#options[name];
    if (given === undefined) return fallback;
    const parsed = typeof given === 'boolean' ? null : this.#size(name, given);
    if (parsed !== null && 'pages' in parsed && parsed.pages >= 1 && parsed.pages <= most) {
      return parsed.pages;
    }
    throw this.#bad(name, `give a size in 4K..${formatBytes(most * PAGE_SIZE).replace(' ', '')}`);
  }

  /** @returns null for what is no size */
  #size(name: string, given: string | number): ReturnType<typeof parseSize> | null {
    try {
      return parseSize(name, given);
    } catch (error) {
      if (error instanceof UsageError) return null;
      throw error;
    }
  }

  /** Any text but an empty one, or null. */
  text(name: string): string | null {
    const given = this.#options[name];
    if (given === undefined) return null;
    if (typeof given === 'string' && given !== '') return given;
    throw this.#bad(name, 'give a text');
  }

  flag(name: string): boolean {
    const given = this.#options[name];
    if (given === undefined || typeof given === 'boolean') return given ?? false;
    throw this.#bad(name, 'takes no value');
  }

  #bad(name: string, hint: string): UsageError {
    const shown = oneLine(String(this.#options[name]), 40);
    return new UsageError(`${scenarioFlag(name)}: '${shown}' will not do; ${hint}`);
  }
}
