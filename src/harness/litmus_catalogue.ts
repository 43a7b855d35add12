// SPDX-License-Identifier: MIT
/**
 * The catalogue of litmus tests: what the ECMAScript memory model promises to code that shares
 * memory, as programs. A worker that runs one of them loads this module and takes it by its name.
 */
import { ATOMIC_TESTS } from './litmus_catalogue_atomic.ts';
import { PLAIN_TESTS } from './litmus_catalogue_plain.ts';
import { RMW_TESTS, WAIT_TESTS } from './litmus_catalogue_rmw.ts';
import { TEARING_TESTS } from './litmus_catalogue_tearing.ts';
import type { AnyLitmusTest } from './litmus_test.ts';

/** Every test of the catalogue, by groups. */
export const tests: readonly AnyLitmusTest[] = [
  ...ATOMIC_TESTS,
  ...RMW_TESTS,
  ...WAIT_TESTS,
  ...PLAIN_TESTS,
  ...TEARING_TESTS,
];

/** Names a test of the catalogue for `litmus`. */
export function catalogued(name: string): { readonly module: URL; readonly test: string } {
  return { module: new URL('./litmus_catalogue.js', import.meta.url), test: name };
}
