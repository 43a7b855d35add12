// SPDX-License-Identifier: GPL-2.0-only
/** The scripts of the project as a user starts them: help, and bad usage in a line. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SCRIPTS = fileURLToPath(new URL('../../scripts/', import.meta.url));
const WITH_OPTIONS = readdirSync(SCRIPTS).filter(
  (name) => name !== 'script_args.mjs' && /scriptArgs\(/.test(readFileSync(SCRIPTS + name, 'utf8')),
);

function start(name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPTS + name, ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe.each(WITH_OPTIONS)('%s', (name) => {
  it('says what it is for', () => {
    const { status, stdout, stderr } = start(name, '--help');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`\\n +node scripts/${name}`));
  });

  it('says in a line what it does not know', () => {
    const { status, stdout, stderr } = start(name, '--nonsense');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toBe(`${name}: Unknown option '--nonsense'; --help says what there is\n`);
  });
});
