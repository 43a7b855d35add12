// SPDX-License-Identifier: GPL-2.0-only
/**
 * The lock file has an entry for every dependency that it names, those of other platforms too.
 * npm 11 refuses `npm ci` otherwise, and npm 10 does not, so an install with the one can break the
 * other: a registry that lacks a platform's package makes `npm install` drop its entry silently.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Dependencies that no entry of the lock provides, as `dependant: name`. */
function missingEntries(packages: Readonly<Record<string, Locked>>): string[] {
  const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  return Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !names.has(name))
      .map((name) => `${path}: ${name}`),
  );
}

test('package-lock: an entry for every dependency of every platform', () => {
  const url = new URL('../../package-lock.json', import.meta.url);
  const { packages } = JSON.parse(readFileSync(url, 'utf8'));
  expect(missingEntries(packages)).toEqual([]);
});

test('package-lock: a dependency without an entry is found', () => {
  const packages = {
    '': { dependencies: { a: '1' } },
    'node_modules/a': { optionalDependencies: { '@a/linux': '1', '@a/darwin': '1' } },
    'node_modules/@a/linux': {},
  };
  expect(missingEntries(packages)).toEqual(['node_modules/a: @a/darwin']);
});
