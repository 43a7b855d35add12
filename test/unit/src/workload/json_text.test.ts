// SPDX-License-Identifier: GPL-2.0-only
/** JSON with places: it reads what JSON.parse reads, and knows where what is wrong stands. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonError, lineColumn, readJson } from '../../../../dist/src/workload/json_text.js';

/** @returns line, column and reason of what is wrong */
function fault(text: string): string {
  try {
    readJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return `${lineColumn(text, error.offset)}: ${error.message}`;
  }
  return 'nothing';
}

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('readJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), null, indent % 3);
        expect(JSON.stringify(readJson(text).value)).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('refuses what JSON.parse refuses', () => {
    const pieces = fc.constantFrom(...'{}[]:,"\\ \n01.-eE', 'true', 'null', '"a"', '\\u12', '\t');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        expect([text, fault(text) === 'nothing']).toEqual([text, parses(text)]);
      }),
      { numRuns: 5000 },
    );
  });

  it('knows where values stand', () => {
    const text = '{ "a": [1, { "b": 2 }],\n  "memory.max": 3 }';
    const { places } = readJson(text);
    const at = (path: string): string => lineColumn(text, places.get(path) ?? -1);
    expect([at(''), at('a[1].b'), at('memory.max')]).toEqual(['1:1', '1:19', '2:17']);
  });

  it.each([
    ['{"a": 1,}', '1:9: a name in double quotes was expected'],
    ['{"a": 1\n "b": 2}', "2:2: ',' or '}' was expected"],
    ["{'a': 1}", '1:2: a name in double quotes was expected'],
    ['[1 2]', "1:4: ',' or ']' was expected"],
    ['{"a": }', '1:7: a value was expected'],
    ['{"a": "x', '1:7: a string without end, or with a character that cannot be'],
    ['{"a": 1', "1:8: the text ends where ',' or '}' was expected"],
    ['{"a": 1, "a": 2}', '1:10: the name stands here twice'],
    ['1 2', '1:3: nothing more was expected'],
    ['[01]', "1:3: ',' or ']' was expected"],
    ['', '1:1: the text ends where a value was expected'],
    ['// no', '1:1: a value was expected'],
  ])('%j: %s', (text, expected) => {
    expect(fault(text)).toBe(expected);
  });

  it('takes __proto__ for a name like others', () => {
    const value = readJson('{"__proto__": {"x": 1}}').value as object;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect('x' in value).toBe(false);
  });

  it('says that it is too deep, and does not overflow', () => {
    expect(fault('['.repeat(100_000))).toBe('1:66: more than 64 levels');
  });
});
