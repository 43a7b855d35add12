// SPDX-License-Identifier: GPL-2.0-only
/**
 * Instrumented code behaves as the original: by form, and for random programs over arrays, typed
 * arrays, proxies, getters, maps and strings, with every side effect logged.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { instrument } from '../../../dist/src/harness/race/instrument.js';
import { SITE_READ, SITE_WRITE } from '../../../dist/src/harness/race/rewrite.js';
import { installRace } from '../../../dist/src/harness/race/session.js';

beforeAll(() => installRace());

/** What a run of a piece of code did. */
interface Seen {
  readonly log: string[];
  readonly result: unknown;
  readonly error: string;
  readonly end: unknown;
}

const NAMES = ['a', 'b', 'o', 'p', 'k', 's', 'm', 'w', 'f', 'g', 'h', 'i', 'j', 'u'];

/** A world to run code in: everything that happens in it is logged. */
function world(log: string[]): Record<string, unknown> {
  const traps: ProxyHandler<object> = {
    get(target, key, receiver) {
      log.push(`get ${String(key)}`);
      return Reflect.get(target, key, receiver);
    },
    set(target, key, value, receiver) {
      log.push(`set ${String(key)} ${typeof value}`);
      return Reflect.set(target, key, value, receiver);
    },
    deleteProperty(target, key) {
      log.push(`delete ${String(key)}`);
      return Reflect.deleteProperty(target, key);
    },
    has(target, key) {
      log.push(`has ${String(key)}`);
      return Reflect.has(target, key);
    },
  };
  const inner = [4, 5, 6];
  const o = {
    x: [1, 2, 3],
    get y() {
      log.push('get y');
      return inner;
    },
    1: 'one',
    2(this: unknown, value: unknown) {
      log.push(`call 2 ${typeof this}`);
      return value;
    },
  };
  return {
    a: [1, [2, 3], 3, (value: unknown) => value],
    b: new Int32Array([7, 8, 9]),
    o,
    p: new Proxy([1, 2, [3]], traps),
    k: {
      toString() {
        log.push('key');
        return '1';
      },
      valueOf() {
        log.push('value');
        return 2;
      },
    },
    s: 'text',
    m: new Map<unknown, unknown>([[1, [1, 2]]]),
    w: new Uint8Array(new SharedArrayBuffer(8)),
    f() {
      log.push('f');
      return inner;
    },
    g(value: unknown) {
      log.push('g');
      return value;
    },
    h(parts: unknown) {
      log.push(`h ${String(parts)}`);
      return inner;
    },
    i: 0,
    j: 1,
    u: undefined,
  };
}

function show(value: unknown, depth = 4): unknown {
  if (typeof value === 'function') return 'function';
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value === 'number' || typeof value !== 'object' || value === null) {
    return Object.is(value, -0) ? '-0' : value;
  }
  if (depth === 0) return '...';
  if (value instanceof Map) return ['map', ...[...value].map((pair) => show(pair, depth - 1))];
  return Object.entries(value).map(([key, inner]) => [key, show(inner, depth - 1)]);
}

function run(code: string): Seen {
  const log: string[] = [];
  const env = world(log);
  let result: unknown;
  let error = '';
  try {
    const fn = new Function(...NAMES, code) as (...values: unknown[]) => unknown;
    result = show(fn.call('me', ...NAMES.map((name) => env[name])));
  } catch (thrown) {
    error = (thrown as Error).constructor.name;
  }
  const end = NAMES.slice(0, 8).map((name) => show(env[name]));
  return { log, result, error, end };
}

function visible(code: string): string {
  return instrument(code, 'test.cjs', { sourceType: 'commonjs' }).code;
}

function same(code: string): void {
  const edited = visible(code);
  expect(edited.split('\n').length, edited).toBe(code.split('\n').length);
  expect(run(edited), edited).toEqual(run(code));
}

describe('instrumented code', () => {
  test.each([
    ['reads', 'return [a[0], a[1][1], b[i], o.x[j], f()[g(1)], s[0], m.get(1)[0], p[2][0]]'],
    ['a key is converted as often', 'return [a[k], p[k], p[k] = 1, p[k] += 1, p[k]++]'],
    ['operands from left to right', 'return f()[g(0)] = g(a[i++])'],
    ['a key that changes the object', 'var c = a; return [a[(a = b, 1)], a, c]'],
    ['a value that changes object and key', 'a[i] = (a = b, i = 2, 5); return [a, i]'],
    ['compound assignment', 'b[i] += b[j]; b[1] **= 2; o.x[g(1)] <<= a[0]; return [b, o]'],
    ['a compound value of several', 'a[0] *= 1 + 2; return a[0]'],
    ['logical assignment', 'a[0] &&= g(9); a[9] ??= g(8); p[1] ||= g(7); return [a, p]'],
    ['updates', 'return [a[0]++, ++a[0], b[0]--, --b[0], typeof ++a[0], -a[0]++]'],
    ['updates of BigInt and text', 'a[0] = 1n; a[1] = "x"; return [a[0]++, a[0], a[1]++, a[1]]'],
    ['update of an element of undefined', 'return u[0]++'],
    ['calls keep this', 'return [o[2](1), a[3](2), o?.[2]?.(3)]'],
    ['new and tags', 'a[3] = function () { this.z = 1 }; return [new a[3](), o[2]`x`]'],
    ['delete', 'return [delete a[0], delete o.x[1], delete (a[1]), delete p[0], a]'],
    ['optional chains', 'return [u?.[g(0)], o?.x[1], o.x?.[1], u?.x[g(1)].y, (o?.x)[1]]'],
    ['a broken chain throws', 'return o?.q[1]'],
    ['destructuring', '[a[0], f()[1] = g(4), ...o.x[0]] = [9, undefined, 8]; return a'],
    ['object patterns', '({ x: a[g(0)], [g("y")]: b[1] = 3, ...a[1] } = o); return a'],
    ['loops over elements', 'for (a[0] of [1, 2]) b[a[0]]++; for (o.x[g(1)] in a); return b'],
    ['swap', '[b[0], b[2]] = [b[2], b[0]]; return b'],
    ['default parameters', 'return ((q = a[1][0], r = a[i]++) => [q, r, a[q]])()'],
    ['arrows', 'return [1, 2].map((n) => o.x[n]).map((n) => ({ n: a[0] }).n)'],
    [
      'classes',
      'class A { [a[0]] = f()[1]; static q = o.x[1]++; static { a[0] = 7 } }; return new A()',
    ],
    [
      'super',
      'class A { z() { return [1] } }; return new (class extends A { z = super["z"]()[0] })()',
    ],
    ['sequences as keys', 'return [a[g(1), 0], (a[g(2), 0] = 5), a[0, 0]++]'],
    ['generators', 'return [...(function* () { const x = yield a[0]; a[yield 2] = yield 3 })()]'],
    [
      'a store to a frozen object in sloppy code',
      'Object.freeze(a); a[0] = 5; [a[0]] = [6]; return a',
    ],
    ['the same in strict code', '"use strict"; Object.freeze(a); a[0] = 5; return a'],
    ['destructuring into a frozen object, strict', '"use strict"; Object.freeze(a); [a[0]] = [5]'],
    ['with', 'with (o) { return x[0] }'],
    [
      'method calls',
      'a.fill(b[0], 1); m.set(1, 2); w.set([1]); return [a.at(-1), b.slice(), m.get(1)]',
    ],
    [
      'calls without arguments',
      'return [[3, 1].sort(), f().reverse(), b.toString(), o.x.values().next()]',
    ],
    ['keywords are kept apart', 'if (u) a[0]; else[2, 1].sort(); return[1].slice()'],
    ['prefix update behind a keyword', 'if (u) 1; else++a[0]; return++a[0]'],
    [
      'statements without semicolons',
      'var q = f\n++o.x[0]\no.x[1] = 5\nf()[0]--\na[0] ||= 1\nreturn [q, a]',
    ],
    [
      'labels and nested loops',
      'x: for (var n = 0; n < 2; a[n]++, n++) for (;;) { b[n]++; continue x } return b',
    ],
    ['comments in odd places', 'a /* 1 */ [ /* 2 */ 0 /* 3 */ ] /* 4 */ = /* 5 */ 5; return a'],
    ['a nested key', 'return a[b[o.x[f()[0] - 4] - 1] - 7]'],
    ['writes in keys of writes', 'o.x[o.x[g(0)] = 1] = o.x[f()[0] = 2] += 3; return [o, f()]'],
    ['parentheses round targets', '(a[0]) = 4; (o.x[1])++; [(a[1])] = [2]; return a'],
    [
      'directives stay',
      '"use strict"; return (function () { "use strict"; return [this, f()[0]] })()',
    ],
    ['in', 'return [0 in a, a[0] in a, 5 in p]'],
  ])('%s', (_, code) => {
    same(code);
  });

  test('the place, the kind and the number of sites', () => {
    const { sites } = instrument('a[0];\n  a[1] = 2;\na[2]++', 'x.js');
    expect(sites).toBe(4);
    const { code } = instrument('a[0];\n  a[1] = 2;', 'x.js');
    expect(code).toContain(`[1,1,${SITE_READ},2,3,${SITE_WRITE}]`);
  });

  test('a source without accesses stays as it is', () => {
    const source = '#!/usr/bin/env node\nexport const a = 1; // x\n';
    expect(instrument(source, 'x.mjs')).toEqual({ code: source, sites: 0, skipped: [] });
  });

  test('a hashbang, directives and a source map comment keep their place', () => {
    const source = '#!/x\n"use strict"\nmodule.exports = a[0]\n//# sourceMappingURL=x.map';
    const lines = instrument(source, 'x.cjs', { sourceType: 'commonjs' }).code.split('\n');
    expect(lines[0]).toBe('#!/x');
    expect(lines[1]?.startsWith('"use strict";const')).toBe(true);
    expect(lines[3]).toBe('//# sourceMappingURL=x.map');
  });

  test('an error names file, line and column', () => {
    expect(() => instrument('let a = 1;\nlet b = ;', '/x/y.js')).toThrow('/x/y.js:2:9: Unexpected');
  });

  test('a racy comment needs a reason, and marks its line or the next', () => {
    expect(() => instrument('a[0]; // kreclaim-racy', 'x.js')).toThrow('x.js:1: kreclaim-racy');
    const { code } = instrument(
      'a[0]\n// kreclaim-racy: a hint\na[1]\na[2] /* kreclaim-racy: y */',
      'x.js',
    );
    expect(code).toContain('[[1,"a hint"],[2,"y"]]');
  });

  test('a source map on demand', () => {
    const { map } = instrument('a[0]', 'x.js', { map: true });
    expect(JSON.parse(map as string)).toMatchObject({ version: 3, sources: ['x.js'] });
  });

  test('forms that are left alone are listed', () => {
    const code = 'x?.y[0]; with (x) { y[0] } function f(q = a.b[g()]++) {}';
    expect(instrument(code, 'x.cjs', { sourceType: 'commonjs' }).skipped).toEqual([
      '1:1 behind ?. in one chain',
      '1:19 in a with statement',
      '1:43 its key runs code, outside of a function body',
    ]);
  });
});

/** Random code: strings of JavaScript that use NAMES. */
const { expression } = fc.letrec<{ expression: string; place: string; element: string }>((tie) => {
  const e = tie('expression');
  const atom = fc.constantFrom('a', 'b', 'o', 'p', 'w', 'o.x', 'o.y', 'f()', 'a[1]', 'this', 'u');
  const key = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('0', '1', '2', 'i', 'j', 'k', '-1', '"1"', '1.5') },
    { weight: 2, arbitrary: e },
  );
  const join = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
    fc
      .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
      .map((all) => all.join(''));
  const operator = fc.constantFrom('=', '+=', '-=', '|=', '<<=', '**=', '||=', '&&=', '??=');
  const place = tie('place');
  return {
    place: fc.oneof({ depthSize: 'small' }, atom, join('(', e, ')')),
    element: join(place, '[', key, ']'),
    expression: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('i', 'j', '0', '1', 'a', 'b', 'o', 'p', 's', 'k', 'f()', 'g(2)', 'u'),
      tie('element'),
      join(place, '?.[', key, ']'),
      join('(', tie('element'), ' ', operator, ' ', e, ')'),
      join('(', fc.constantFrom('++', '--'), tie('element'), ')'),
      join('(', tie('element'), fc.constantFrom('++', '--'), ')'),
      join('(', tie('element'), '(', e, '))'),
      join('g(', e, ')'),
      join('(delete ', tie('element'), ')'),
      join('(', fc.constantFrom('i', 'j', 'a', 'b'), ' = ', e, ')'),
      join('([', tie('element'), ', ', tie('element'), ' = ', e, '] = [', e, ', ', e, '])'),
      join('({ x: ', tie('element'), ', ...', tie('element'), ' } = ', e, ')'),
      join('(() => ', e, ')()'),
      join('((q = ', e, ') => (', e, ', q))()'),
      join('[...(function* () { yield ', e, '; yield ', e, ' }).call(o)]'),
      join('(new (class { z = ', e, '; static y = ', e, ' })())'),
      join('(', e, ' ? ', e, ' : ', e, ')'),
      join('(', e, ', ', e, ')'),
      join('(', e, ' + ', e, ')'),
      join('(', place, '.fill(', e, '))'),
      join('(', place, '.slice())'),
      join('o?.x[', key, ']'),
    ),
  };
});

const statement = fc.oneof(
  expression.map((e) => `g(${e})`),
  expression.map((e) => `for (a[i] of [${e}]) g(a[0])`),
  expression.map((e) => `for (var n = 0; n < 2; n++, b[n]++) { g(${e}) }`),
  expression.map((e) => `if (a[0]) { g(${e}) } else o.x[1]--`),
  expression.map((e) => `try { g(${e}) } catch { a[0]++ }`),
);

describe('random programs', () => {
  test('behave as without the edits, sloppy and strict', () => {
    fc.assert(
      fc.property(
        fc.array(statement, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (all, strict) => {
          same(`${strict ? '"use strict";' : ''}${all.join('\n')}\nreturn [a, b, i, j]`);
        },
      ),
      { numRuns: 1500, seed: 20260 },
    );
  });
});
