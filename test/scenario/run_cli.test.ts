// SPDX-License-Identifier: GPL-2.0-only
/** What commands refuse, what `run --profile` shows, and what is left of an interrupted command. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-run-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param at sends the signal once standard error has this */
function kreclaim(args: string, at = '\0', signal: NodeJS.Signals = 'SIGINT'): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args.split(' ')], { cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    const before = stderr.includes(at);
    stderr += text;
    if (!before && stderr.includes(at)) child.kill(signal);
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));

describe('run --profile', () => {
  it('shows where the time of each kind of threads goes', async () => {
    const args = 'run quick --events 60000 -q --flame a.html --json a.json';
    const { code, stdout } = await kreclaim(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nprofile of all threads\n +here % +symbol +functions +file\n/);
    expect(stdout).toMatch(/\nprofile of kswapd0\n/);
    expect(stdout).toMatch(/\nprofile of cpu0, cpu1\n[\s\S]*\n {2}[\d,]+ samples on a core/);
    const { tables } = json('a.json').profile;
    expect(tables.map(({ kind }) => kind)).toEqual(['kswapd', 'programs', 'rest', 'all']);
    for (const { rows } of tables) expect(rows.length).toBeLessThanOrEqual(20);
    const [kswapd, programs, rest, all] = tables.map(({ samples }) => samples);
    expect(programs).toBeGreaterThan(0);
    expect(all).toBe(kswapd + programs + rest);
    const title = /<title>.*<\/title>/.exec(readFileSync(join(dir, 'a.html'), 'utf8'))?.[0];
    expect(title).toBe('<title>kreclaim run: zipf0, zipf1</title>');
    expect(readFileSync(join(dir, 'a.folded'), 'utf8')).toMatch(/^kswapd0;/m);
  });

  it('reports when interrupted: SIGTERM, exit code 143', async () => {
    const run = 'run quick --events 20000000 --profile --json b.json';
    const { code, stdout } = await kreclaim(run, ' s ', 'SIGTERM');
    expect(code).toBe(143);
    expect(stdout).toMatch(/, interrupted\n/);
    expect(json('b.json')).toMatchObject({ interrupted: true });
    expect(json('b.json').profile.tables.at(-1).samples).toBeGreaterThan(0);
  });
});

it('bench reports whole rounds when interrupted', async () => {
  const args = 'bench shrinker --no-native --threads 1 --memcgs 50 --register-us off --rounds 50';
  const variant = '--variant rwsem --json c.json';
  const { code, stdout } = await kreclaim(`${args} ${variant}`, ': round 2/50');
  expect(code).toBe(130);
  expect(stdout).toMatch(/\n\ninterrupted: whole rounds only\n$/);
  const { rows, interrupted } = json('c.json');
  expect(interrupted).toBe(true);
  // The kernels' rows go with a lockless variant.
  expect(rows.map(({ name }) => name)).toEqual(['rwsem x1']);
  expect(rows[0].rounds).toBeGreaterThanOrEqual(2);
  expect(rows[0].rounds).toBeLessThan(50);
});

it("a report has the shrinkers' files", async () => {
  const run = 'run memcg-tmpfs --memcgs 2 --file-size 64K --leave -q --json d.json';
  expect((await kreclaim(run)).code).toBe(0);
  const files = Object.keys(json('d.json').proc);
  const file = files.find((path) => /^\/sys\/kernel\/debug\/shrinker\/.*\/count$/.test(path));
  expect(await kreclaim(`cat d.json ${file}`)).toMatchObject({ code: 0, stderr: '' });
});

it('a shrinker module that does not parse is named with its line', async () => {
  writeFileSync(join(dir, 'bad.mjs'), 'export function cache() {\n  return {;\n}\n');
  const shrinkerTypes = [{ name: 'cache', module: './bad.mjs', export: 'cache' }];
  writeFileSync(join(dir, 'bad.json'), JSON.stringify({ shrinkerTypes }));
  const { code, stderr } = await kreclaim('run quick --events 1000 -q --config bad.json');
  expect(code).toBe(3);
  expect(stderr).toMatch(/did not boot: .*\/bad\.mjs:2:11: does not parse: Unexpected token;/);
});

it.each([
  ['run memcg-tmpf', /^kreclaim: 'memcg-tmpf': no such file or scenario; scenarios are quick, /],
  ['run memcg-tmpfs mount-loop', /one scenario at a time, alone\n$/],
  ['run memcg-tmpfs --memcgs 65472', /^kreclaim: --touch, --file-size: 49104 files of 1 MiB are/],
  [
    'run memcg-tmpfs --memcgs 10 --memcgs-max 2',
    /^kreclaim: --memcgs-max: 2 is too little: .* 12;/,
  ],
  ['run memcg-tmpfs --mounts 9 --shrinkers-max 9', /^kreclaim: --shrinkers-max: .* needs 10;/],
  ['run mount-loop --mounts-max 9', /^kreclaim: --mounts-max: 9 is too little: .* needs 17;/],
  ['run memcg-tmpfs --file-size 1Q', /^kreclaim: --file-size: '1Q' will not do; give a size in 4K/],
  ['run quick --profile --seeds 1..2', /^kreclaim: --profile: not with --seeds; /],
  ['run quick --flame x.html --mode deterministic', /^kreclaim: --flame: not with mode determin/],
  ['run quick --flame nowhere/x.html', /^kreclaim: nowhere\/x\.html: /],
  [
    'reproduce shrinker --only xx',
    /^kreclaim: --only: no experiment 'xx'; known are hot spots, ch/,
  ],
  ['reproduce shrinker --only churn --flame x.html', /^kreclaim: --flame: shows hot spots, which/],
  ['bench shrinker --register-us on', /^kreclaim: --register-us: 'on' .* in 1\.\.\d+, or off\n$/],
])('%s is refused', async (args, expected) => {
  const before = readdirSync(dir);
  const { code, stdout, stderr } = await kreclaim(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(expected);
  expect(readdirSync(dir)).toEqual(before);
  expect(existsSync(join(dir, 'nowhere'))).toBe(false);
});

it.each(['locks', 'rings', 'rcu', 'shrinker', 'replay', 'harness'])(
  'bench %s --only nosuch is refused, with the names there are',
  { timeout: 30_000 },
  async (group) => {
    const { code, stdout, stderr } = await kreclaim(`bench ${group} --only nosuch --no-native`);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain("kreclaim: --only: no group's name contains 'nosuch'; known are '");
  },
);
