// SPDX-License-Identifier: MIT
/**
 * Methods whose calls get a site: what `Atomics`, typed arrays and DataViews have. A call is known
 * by its name alone, so that of another object that has such a method (a Map's `set`) gets one too;
 * it costs a note of where the call stands, and changes nothing.
 */

const ATOMICS = [
  'add',
  'and',
  'compareExchange',
  'exchange',
  'load',
  'notify',
  'or',
  'store',
  'sub',
  'wait',
  'xor',
];

/** Typed-array methods that read or write the whole, or a range, in one go. */
export const WHOLE_METHODS = [
  'copyWithin',
  'fill',
  'includes',
  'indexOf',
  'join',
  'lastIndexOf',
  'reverse',
  'set',
  'slice',
  'sort',
  'toLocaleString',
  'toReversed',
  'toSorted',
  'toString',
  'with',
] as const;

/** Typed-array methods that call back, or yield, between one element and the next. */
export const ELEMENT_METHODS = [
  'at',
  'entries',
  'every',
  'filter',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'forEach',
  'map',
  'reduce',
  'reduceRight',
  'some',
  'values',
] as const;

/** DataView accessors by the name of their element, with its width in bytes. */
export const DATA_VIEW_ELEMENTS: readonly (readonly [string, number])[] = [
  ['Int8', 1],
  ['Uint8', 1],
  ['Int16', 2],
  ['Uint16', 2],
  ['Float16', 2],
  ['Int32', 4],
  ['Uint32', 4],
  ['Float32', 4],
  ['BigInt64', 8],
  ['BigUint64', 8],
  ['Float64', 8],
];

/** Names of methods whose calls are sites. */
export const CALL_METHODS: ReadonlySet<string> = new Set<string>([
  ...ATOMICS,
  ...WHOLE_METHODS,
  ...ELEMENT_METHODS,
  ...DATA_VIEW_ELEMENTS.flatMap(([name]) => [`get${name}`, `set${name}`]),
]);
