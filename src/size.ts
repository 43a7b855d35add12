// SPDX-License-Identifier: GPL-2.0-only
/**
 * Amounts of memory as users write them: `64M`, `50%`, plain bytes. Units are K, M, G and T of
 * 1024, with or without `iB` or `B`, in either case; a percentage is of the footprint.
 */
import { oneLine, UsageError } from './errors.ts';
import { PAGE_SIZE } from './mm/limits.ts';

/** Bytes, or a string such as `64M` or `50%`. */
export type Size = number | string;

/** What a size says: pages, or a part of the footprint. */
export type ParsedSize = { readonly pages: number } | { readonly fraction: number };

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};
const SIZE = /^(\d+(?:\.\d+)?)\s*(%|[kmgt]?)(?:i?b)?$/i;
/** Larger parts of the footprint are taken for slips. */
const PERCENT_MAX = 100_000;

function bad(name: string, size: Size): UsageError {
  const shown = typeof size === 'string' ? `'${oneLine(size, 40)}'` : String(size);
  return new UsageError(`${name}: ${shown} is not a size; give bytes, 64M, 2G or 50%`);
}

/**
 * @param name option that the size was given for, used in the error
 * @returns whole pages, rounded down, or a fraction above 0; throws UsageError for anything else
 */
export function parseSize(name: string, size: Size): ParsedSize {
  const match = SIZE.exec(String(size).trim());
  if (match === null) throw bad(name, size);
  const value = Number(match[1]);
  const unit = (match[2] as string).toLowerCase();
  if (unit === '%') {
    if (value > 0 && value <= PERCENT_MAX && typeof size === 'string') {
      return { fraction: value / 100 };
    }
    throw new UsageError(`${name}: '${oneLine(String(size), 40)}' leaves no memory; give 50%`);
  }
  const bytes = value * (UNITS[unit] as number);
  if (!Number.isSafeInteger(Math.floor(bytes))) throw bad(name, size);
  return { pages: Math.floor(bytes / PAGE_SIZE) };
}

/** @returns the size in pages, rounded down, of a footprint of `footprintPages` */
export function sizePages(name: string, size: Size, footprintPages: number): number {
  const parsed = parseSize(name, size);
  return 'pages' in parsed ? parsed.pages : Math.floor(parsed.fraction * footprintPages);
}

/** `512 KiB`, `13.5 MiB`: bytes for people. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
