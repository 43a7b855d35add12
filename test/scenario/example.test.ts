// SPDX-License-Identifier: GPL-2.0-only
/** The examples run, as a user would run them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the example of the library runs', () => {
  const file = fileURLToPath(new URL('../../examples/library.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/pgmajfault: [1-9]/);
  expect(stdout).toMatch(/\nMemTotal: +\d+ kB\n/);
  expect(stdout).toMatch(/\nkswapd0 /);
});

// Four machines of real threads, one after the other.
it('the example of a shrinker runs, as built', { timeout: 180_000 }, () => {
  const file = fileURLToPath(new URL('../../dist/examples/shrinker.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  for (const variant of ['rwsem', 'srcu', 'lockless', 'lockless-fixed']) {
    // Walks, skipped, freed, registrations a second.
    expect(stdout).toMatch(new RegExp(`'${variant}' +│ [1-9]\\d* +│ \\d+ +│ [1-9]\\d* +│ [1-9]`));
  }
  const source = readFileSync(new URL('../../examples/shrinker.ts', import.meta.url), 'utf8');
  expect(source.split('\n').length).toBeLessThanOrEqual(60);
});
