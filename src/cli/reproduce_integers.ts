// SPDX-License-Identifier: GPL-2.0-only
/** Integers that options of `reproduce` are given. */
import { oneLine, UsageError } from '../errors.ts';

/** @returns a list of integers, separated by commas @throws UsageError for anything else */
export function integers(name: string, text: string, low: number, high: number): number[] {
  const values = text.split(',').map((part) => (/^\d{1,9}$/.test(part) ? Number(part) : -1));
  if (values.every((value) => value >= low && value <= high)) return values;
  const shown = oneLine(text, 40);
  throw new UsageError(`--${name}: '${shown}' will not do; give integers in ${low}..${high}`);
}

/** @throws UsageError for anything but one integer */
export function integer(name: string, text: string, low: number, high: number): number {
  const [value, ...more] = integers(name, text, low, high);
  if (more.length === 0) return value as number;
  throw new UsageError(`--${name}: '${oneLine(text, 40)}' will not do; give one integer`);
}
