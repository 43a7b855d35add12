// SPDX-License-Identifier: GPL-2.0-only
/**
 * The options of a shrinker, as a program gives them: checked here, since what will not do would
 * only show as reclaim that goes astray. Errors are a program's own, and end it.
 */

/** How a shrinker is made. Everything has a default. */
export interface ShrinkerOptions {
  /** For /sys/kernel/debug/shrinker, 1 to 31 ASCII characters, no slash. Default: the type's. */
  readonly name?: string;
  /** Passed to its callbacks as `sc.arg`, an i32. Default 0. */
  readonly arg?: number;
  /** Its callbacks are called for each group by itself. Default false. */
  readonly memcgAware?: boolean;
  /** Work that is put off is remembered for each node by itself. Default false. */
  readonly numaAware?: boolean;
  /** Holds no kernel objects: runs for groups with `kmem` off too. Default false. */
  readonly nonslab?: boolean;
  /** Objects of one scan, 1 .. 2^31-1; 0, the default, for 128. */
  readonly batch?: number;
  /**
   * Cost of making an object again, 0 .. 2^31-1; 0: half of the objects are scanned each time.
   * Default 2.
   */
  readonly seeks?: number;
}

const I32_MAX = 0x7fffffff;
const NUMBERS: Readonly<Record<string, readonly [number, number]>> = {
  arg: [-I32_MAX - 1, I32_MAX],
  batch: [0, I32_MAX],
  seeks: [0, I32_MAX],
};
const SWITCHES: readonly string[] = ['memcgAware', 'numaAware', 'nonslab'];
const KNOWN = ['name', ...Object.keys(NUMBERS), ...SWITCHES];
/** Printable ASCII without the slash. */
const NAME = /^[ -.0-~]{1,31}$/;

/** A value as an error shows it: a text in quotes. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

function checkOption(key: string, value: unknown): void {
  const refuse = (what: string, Kind: ErrorConstructor = TypeError): never => {
    throw new Kind(`shrinkers.alloc: ${key}: ${shownValue(value)} will not do; give ${what}`);
  };
  if (!KNOWN.includes(key)) {
    throw new TypeError(`shrinkers.alloc: no option '${key}'; known are ${KNOWN.join(', ')}`);
  }
  if (SWITCHES.includes(key)) {
    if (typeof value !== 'boolean') refuse('true or false');
  } else if (key === 'name') {
    if (typeof value !== 'string') refuse('a text');
    if (!NAME.test(value as string)) refuse('1 to 31 ASCII characters, no slash', RangeError);
  } else {
    const [low, high] = NUMBERS[key] as readonly [number, number];
    if (typeof value !== 'number') refuse(`an integer in ${low}..${high}`);
    const fits = Number.isInteger(value) && Number(value) >= low && Number(value) <= high;
    if (!fits) refuse(`an integer in ${low}..${high}`, RangeError);
  }
}

/**
 * Checks options; one that is undefined counts as not given.
 * @throws TypeError for an option that there is not, or of another type; RangeError for a value
 *   outside its range
 */
export function checkShrinkerOptions(options: ShrinkerOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`shrinkers.alloc: options: ${shownValue(options)} is not an object`);
  }
  for (const [key, value] of Object.entries(options)) {
    if (value !== undefined) checkOption(key, value);
  }
}
