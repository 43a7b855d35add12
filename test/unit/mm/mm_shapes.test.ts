// SPDX-License-Identifier: GPL-2.0-only
/**
 * V8 keeps an object's properties at fixed offsets, or, where too many were added one by one, in a
 * hash table: then each access to a column on the fault path is a call.
 */
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { attachMm, createMm } from '../../../dist/src/mm/mm.js';
import { fixtureConfig } from '../../helpers/mm_fixture.js';

setFlagsFromString('--allow-natives-syntax');
const isFast = new Function('object', 'return %HasFastProperties(object)') as (
  o: object,
) => boolean;
setFlagsFromString('--no-allow-natives-syntax');

/** Paths of plain objects in `value` that are hash tables. */
function hashTables(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return [];
  const inside = Object.entries(value).flatMap(([key, part]) => hashTables(part, `${path}.${key}`));
  return isFast(value) ? inside : [path, ...inside];
}

test('mm: no table of the engine is a hash table, nor is its configuration', () => {
  const config = fixtureConfig();
  const { buffers } = createMm(config);
  expect(hashTables(attachMm(buffers, structuredClone(config), 1, 0), 'm')).toEqual([]);
});

test('mm: an object that has become a hash table is found', () => {
  const slow: Record<string, number> = {};
  for (let i = 0; i < 40; i++) slow[`column${i}`] = i;
  expect(hashTables({ part: slow }, 'm')).toEqual(['m.part']);
});
