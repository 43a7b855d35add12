// SPDX-License-Identifier: GPL-2.0-only
/** In what two machines, or what ran on them, differ. */
import { oneLine } from '../../errors.ts';

type Things = Readonly<Record<string, unknown>>;

/** A thing that is not the same on both sides, with what it is on each. */
export interface ThingDiff {
  readonly name: string;
  readonly a: string;
  readonly b: string;
}

const shown = (value: unknown): string =>
  oneLine(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing'), 60);

/**
 * @param a resolved configuration, with whatever else is to be compared, by name
 * @returns differences in the order of names; a fault seed that is the seed is none of its own
 */
export function thingDiffs(a: Things, b: Things): ThingDiff[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  const follows = a.faultSeed === a.seed && b.faultSeed === b.seed;
  return names
    .filter((name) => name !== 'faultSeed' || !follows)
    .filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
    .map((name) => ({ name, a: shown(a[name]), b: shown(b[name]) }));
}

/** `swappiness (10, 100), nodes (1, 2)` */
export function diffsText(diffs: readonly ThingDiff[]): string {
  return diffs.map(({ name, a, b }) => `${name} (${a}, ${b})`).join(', ');
}
