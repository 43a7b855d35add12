// SPDX-License-Identifier: GPL-2.0-only
/** Options of `kreclaim bench` that are lists: what they may hold, and what they become. */
import type { ShrinkerBenchOptions } from '../../bench/shrinker.ts';
import { oneLine, UsageError } from '../errors.ts';
import type { ShrinkerPolicy } from '../mm/config.ts';
import { MEMCGS_MAX } from '../mm/limits.ts';
import { SHRINKER_UNIT_BITS, UNIT_MAP_WORDS } from '../mm/shrinker_types.ts';

/** Options of the shrinker group, as given. */
export interface ShrinkerFlags {
  readonly memcgs?: string;
  readonly shrinkers?: string;
  readonly density?: string;
  readonly variant?: string;
  readonly registerUs?: string;
}

const POLICIES: readonly ShrinkerPolicy[] = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'];

const SHRINKERS_MAX = 16_384;
const REGISTER_US_MAX = 10_000_000;
const TABLE_BYTES_MAX = 2 ** 30;

/**
 * @param text integers with commas between
 * @param name of the option, without its dashes
 * @param or what else may be given, for the error @throws UsageError unless each is in 1 .. max
 */
export function integers(name: string, text: string, max: number, or = ''): number[] {
  const values = text.split(',').map((part) => (/^\d{1,8}$/.test(part) ? Number(part) : 0));
  if (values.every((value) => value >= 1 && value <= max)) return values;
  const shown = oneLine(text, 40);
  throw new UsageError(`--${name}: '${shown}' will not do; give integers in 1..${max}${or}`);
}

/** @returns the policies named, all of them for 'all' @throws UsageError for another name */
function policies(text: string): readonly ShrinkerPolicy[] {
  if (text === 'all') return POLICIES;
  return text.split(',').map((part) => {
    const policy = POLICIES.find((name) => name === part);
    if (policy !== undefined) return policy;
    const known = `all, or some of ${POLICIES.join(',')}`;
    throw new UsageError(`--variant: no variant '${oneLine(part, 40)}'; give ${known}`);
  });
}

/** Periods; 'off' is 0. */
function periods(text: string): number[] {
  return text
    .split(',')
    .map((part) =>
      part === 'off'
        ? 0
        : (integers('register-us', part, REGISTER_US_MAX, ', or off')[0] as number),
    );
}

/**
 * @param groups that will run
 * @returns the shrinker group's options that were given
 * @throws UsageError for one that will not do, or that none of the groups takes
 */
export function shrinkerOptions(
  flags: ShrinkerFlags,
  groups: readonly string[],
): ShrinkerBenchOptions {
  const { memcgs, shrinkers, density, variant, registerUs } = flags;
  const given = { memcgs, shrinkers, density, variant, 'register-us': registerUs };
  const first = Object.entries(given).find(([, value]) => value !== undefined);
  if (first !== undefined && !groups.includes('shrinker')) {
    throw new UsageError(`--${first[0]}: goes with the group shrinker`);
  }
  const options = {
    ...(memcgs === undefined ? {} : { memcgs: integers('memcgs', memcgs, MEMCGS_MAX - 1) }),
    ...(shrinkers === undefined
      ? {}
      : { shrinkers: integers('shrinkers', shrinkers, SHRINKERS_MAX) }),
    ...(density === undefined ? {} : { density: integers('density', density, 100) }),
    ...(variant === undefined ? {} : { variants: policies(variant) }),
    ...(registerUs === undefined ? {} : { registerUs: periods(registerUs) }),
  };
  checkSize(options);
  return options;
}

/** Every variant has tables of its own: a shape that would fill the host is refused. */
function checkSize({ memcgs = [1], shrinkers = [64] }: ShrinkerBenchOptions): void {
  const units = Math.ceil(Math.max(...shrinkers) / SHRINKER_UNIT_BITS);
  const bytes = Math.max(...memcgs) * units * (UNIT_MAP_WORDS + SHRINKER_UNIT_BITS) * 4;
  if (bytes <= TABLE_BYTES_MAX) return;
  const gib = (bytes / 2 ** 30).toFixed(1);
  throw new UsageError(`--memcgs, --shrinkers: ${gib} GiB of tables a variant; 1 GiB at most`);
}
