// SPDX-License-Identifier: GPL-2.0-only
/** Options of `kreclaim bench shrinker`. */
import { describe, expect, test } from 'vitest';
import {
  integers,
  type ShrinkerFlags,
  shrinkerOptions,
} from '../../../../dist/src/cli/bench_options.js';

const parse = (flags: ShrinkerFlags) => shrinkerOptions(flags, ['rcu', 'shrinker']);

describe('options of bench shrinker', () => {
  test('nothing given is nothing chosen', () => {
    expect(parse({})).toEqual({});
    expect(shrinkerOptions({}, ['locks'])).toEqual({});
  });

  test('lists become lists', () => {
    const flags = {
      memcgs: '1000,4000',
      shrinkers: '64,4000',
      density: '1,10,100',
      variant: 'rwsem,lockless-fixed',
      registerUs: 'off,100,100000',
    };
    expect(parse(flags)).toEqual({
      memcgs: [1000, 4000],
      shrinkers: [64, 4000],
      density: [1, 10, 100],
      variants: ['rwsem', 'lockless-fixed'],
      registerUs: [0, 100, 100_000],
    });
    expect(parse({ variant: 'all' }).variants).toHaveLength(4);
  });

  test.each<[ShrinkerFlags, RegExp]>([
    [{ memcgs: '0' }, /^--memcgs: '0' will not do; give integers in 1\.\.65535$/],
    [{ memcgs: '65536' }, /^--memcgs: '65536' will not do/],
    [{ memcgs: '10,' }, /^--memcgs: '10,' will not do/],
    [{ shrinkers: '1e3' }, /^--shrinkers: '1e3' will not do/],
    [{ density: '101' }, /^--density: '101' will not do; give integers in 1\.\.100$/],
    [{ registerUs: 'never' }, /^--register-us: 'never' will not do/],
    [{ variant: 'rwsem,mutex' }, /^--variant: no variant 'mutex'; give all, or some of rwsem,/],
    [{ variant: '' }, /^--variant: no variant ''/],
    [{ variant: `a\n${'b'.repeat(60)}` }, /^--variant: no variant 'a\\x0a[^\n]*$/],
    [{ memcgs: '65000', shrinkers: '8192' }, /^--memcgs, --shrinkers: 2\.0 GiB of tables/],
  ])('%j is refused in one line', (flags, message) => {
    expect(() => parse(flags)).toThrow(message);
  });

  test('they go with their group alone', () => {
    expect(() => shrinkerOptions({ registerUs: 'off' }, ['locks', 'rcu'])).toThrow(
      /^--register-us: goes with the group shrinker$/,
    );
  });

  test('thread counts go through the same list', () => {
    expect(integers('threads', '1,2,64', 64)).toEqual([1, 2, 64]);
    expect(() => integers('threads', '65', 64)).toThrow(/^--threads: '65' will not do/);
  });
});
