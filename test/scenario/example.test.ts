// SPDX-License-Identifier: GPL-2.0-only
/** The example of the library runs, as a user would run it. */
import { spawnSync } from 'node:child_process';
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
