// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim explore` as a user meets it: exit codes, a replay line that works, one-line errors. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path('../../dist/src/cli/main.js');
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-explore-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
cpSync(path('../fixtures/explore/'), dir, { recursive: true });

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param interrupt sent once, when the first line of progress is there */
function kreclaim(args: readonly string[], interrupt = false): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    if (interrupt && stderr === '') child.kill('SIGINT');
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('explore', () => {
  it('holds: exit 0, what was run, what PCT promises', async () => {
    const { code, stdout } = await kreclaim(['explore', 'correct.mjs', '--seed', '3', '-q']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^500 executions, [\d,]+ steps in .* strategy mix, seed 3\nheld\n/);
    expect(stdout).toMatch(/\npct: a bug of depth 3 shows with probability >= 1 \/ [\d,]+ an/);
  });

  it('fails: exit 1, and the line it prints replays it', async () => {
    const { code, stdout } = await kreclaim(['explore', 'lost_update.mjs', '-q']);
    expect(code).toBe(1);
    const [, line = ''] = /\nreplay: kreclaim (.*)\n$/.exec(stdout) ?? [];
    expect(line).toBe('explore lost_update.mjs --replay lost_update.replay.json');
    const again = await kreclaim(line.split(' '));
    expect(again.code).toBe(1);
    const listing = (text: string) => text.slice(text.indexOf('\nstep '));
    expect(listing(again.stdout)).toBe(listing(stdout));
    writeFileSync(join(dir, 'lost_update.mjs'), readFileSync(join(dir, 'correct.mjs')));
    const changed = await kreclaim(line.split(' '));
    expect(changed).toMatchObject({ code: 2, stdout: '' });
    expect(changed.stderr).toMatch(/^kreclaim: .*lost_update\.mjs has changed since.*\n$/);
  });

  it('writes JSON and a page', async () => {
    const args = ['explore', 'abba.mjs', '--json', '-', '--html', 'abba.html', '-q'];
    const { code, stdout, stderr } = await kreclaim([...args, '--strategy', 'pct', '--depth', '2']);
    expect(code).toBe(1);
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      schema: 'kreclaim.explore/1',
      mode: 'controlled',
      threads: ['left', 'right'],
      options: { strategy: 'pct', depth: 2 },
      failure: { kind: 'deadlock', replayFile: join(dir, 'abba.replay.json'), switches: 1 },
    });
    expect(stderr).toMatch(/deadlock: no thread can go on/);
    expect(readFileSync(join(dir, 'abba.html'), 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('interrupted: reports what it did, exit 130', async () => {
    const args = ['explore', 'correct.mjs', '--iterations', '1e9', '--seconds', '600'];
    const { code, stdout, stderr } = await kreclaim([...args, '--json', 'int.json'], true);
    expect(code).toBe(130);
    expect(stdout).toMatch(/\ninterrupted\n$/);
    expect(stderr).toMatch(/^\d+\.\d s: [\d,]+ executions, [\d,]+\/s, [\d,]+ steps\/s\n/);
    const report = JSON.parse(readFileSync(join(dir, 'int.json'), 'utf8')) as object;
    expect(report).toMatchObject({ interrupted: true, failure: null });
  });

  it('keeps a query of the scenario, in the replay too', async () => {
    const body =
      "export const options = { iterations: 5 };\nconst bad = import.meta.url.endsWith('?bad');\n";
    const threads = 'export function a() {}\nexport function b() {}\n';
    const check = "export function check() {\n  if (bad) throw new Error('bad');\n}\n";
    writeFileSync(join(dir, 'query.mjs'), body + threads + check);
    expect((await kreclaim(['explore', 'query.mjs', '-q'])).code).toBe(0);
    const { code, stdout } = await kreclaim(['explore', 'query.mjs?bad', '-q']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/explore 'query\.mjs\?bad' --replay query\.replay\.json\n$/);
    const again = await kreclaim(['explore', 'query.mjs?bad', '--replay', 'query.replay.json']);
    expect(again.code).toBe(1);
  });
});

describe('explore: what it says beside the verdict', () => {
  it('says that a state has no shared memory', async () => {
    writeFileSync(
      join(dir, 'alone.mjs'),
      'export const a = () => {};\nexport const b = () => {};\n',
    );
    const { code, stdout } = await kreclaim(['explore', 'alone.mjs', '-q', '--iterations', '5']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nthe state has no SharedArrayBuffer: these threads have nothing in/);
  });
});

describe('explore: bad usage and bad input are one line, exit 2', () => {
  writeFileSync(join(dir, 'syntax.mjs'), '// a file\nexport function first( {\n');
  writeFileSync(join(dir, 'bad_enum.ts'), 'export enum Color { Red }\n');
  writeFileSync(join(dir, 'foreign.json'), '{"schema": "kreclaim.run/1"}\n');

  it.each([
    ['explore', /missing required argument/],
    ['explore none.mjs', /^none\.mjs: no such file/],
    ['explore .', /is not a file/],
    ['explore syntax.mjs', /^syntax\.mjs:3:1: does not parse: Unexpected token/],
    ['explore bad_nothing.mjs', /^bad_nothing\.mjs: exports no thread function/],
    ['explore bad_one.mjs', /^bad_one\.mjs: exports one thread, only/],
    ['explore bad_async.mjs', /^bad_async\.mjs: thread first is async/],
    ['explore bad_top_await.mjs', /^bad_top_await\.mjs: does not finish loading: it awaits/],
    ['explore bad_top_loop.mjs --hang-ms 3000', /does not finish loading within 3 s/],
    ['explore bad_loop.mjs -q --hang-ms 3000', /thread first made no Atomics operation for 3 s/],
    ['explore bad_setup_throws.mjs', /^bad_setup_throws\.mjs: setup threw: no memory today/],
    ['explore bad_setup_function.mjs', /^bad_setup_function\.mjs: what setup returned cannot/],
    ['explore bad_option.mjs', /^bad_option\.mjs: options: unknown option 'iteration'/],
    ['explore correct.mjs --replay none.json', /^none\.json: no such file/],
    ['explore correct.mjs --replay correct.mjs', /^correct\.mjs: line 1 column 1: not JSON/],
    [
      'explore correct.mjs --replay foreign.json',
      /^foreign\.json: schema: "kreclaim.run\/1", this/,
    ],
    [
      'explore correct.mjs --replay-dir none',
      /^--replay-dir: 'none' cannot be written to: no such/,
    ],
    ['explore correct.mjs --html .', /^--html: '\.' is a folder; give a file/],
    ['explore correct.mjs --json .', /^\.: is a directory; give a file/],
    ['explore correct.mjs --mode torture --race', /^--race: not in --mode torture/],
    ['explore correct.mjs --mode litmus', /^correct\.mjs: Cannot read properties/],
    ['explore bad_exit.mjs -q', /^bad_exit\.mjs: thread first ended its worker, with exit code 3/],
    ['explore bad_enum.ts', /^bad_enum\.ts: does not load: \S*bad_enum\.ts:1:8: TypeScript enum/],
    ['explore correct.mjs --strategy luck', /^--strategy: 'luck' will not do; give one of/],
    ['explore correct.mjs --iterations 0', /^--iterations: 0 will not do/],
    ['explore correct.mjs --max-steps many', /^--max-steps: 'many' is not a number/],
    ['explore correct.mjs --depth 99', /^--depth: 99 will not do/],
    ['explore correct.mjs --timeouts never', /^--timeouts: 'never' will not do/],
    ['explore correct.mjs --mode guess', /^--mode: 'guess'/],
    ['explore correct.mjs --json /nowhere/x.json', /^\/nowhere\/x\.json: /],
    ['explore correct.mjs --html /nowhere/x.html', /^--html: '\/nowhere' cannot be written to/],
    ['explore correct.mjs --frobnicate', /unknown option '--frobnicate'/],
  ])('%s', async (line, expected) => {
    const before = readdirSync(dir).sort();
    const { code, stdout, stderr } = await kreclaim(line.split(' '));
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^kreclaim: [^\n]+\n$/);
    expect(stderr.slice('kreclaim: '.length)).toMatch(expected);
    expect(code).toBe(2);
    expect(readdirSync(dir).sort()).toEqual(before);
  });
});
