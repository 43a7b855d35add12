// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim torture` and `explore --mode`, as child processes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { TortureReport } from '../../../../dist/src/torture/report.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path('../../../../dist/src/cli/main.js');
const fixture = (name: string) => path(`../../../fixtures/torture/${name}.mjs`);
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-torture-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param interruptAt sends SIGINT once standard error has this */
function kreclaim(args: readonly string[], interruptAt?: string): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    const before = stderr.includes(interruptAt ?? '\0');
    stderr += text;
    if (!before && stderr.includes(interruptAt ?? '\0')) child.kill('SIGINT');
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('torture', () => {
  test('runs types of several groups and reports in text and JSON', async () => {
    const args = ['torture', '--seconds', '0.6', '--only', 'mutex,srcu', '--threads', '3'];
    const { code, stdout, stderr } = await kreclaim([...args, '--seed', '9', '--json', 'out.json']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^locks mutex: SUCCESS \([\d.]+ s, 3 threads\)\n {4}Writes: Total: /);
    expect(stdout).toMatch(/\n {4}busted \(.*\): caught in [\d.]+ s: /);
    expect(stdout).toMatch(/\nrcu: SUCCESS: 1\/1 held, [\d.]+ s\ntorture: SUCCESS, seed 9\n$/);
    expect(stderr).toMatch(
      /^torture: locks, rcu: 0.6 s, 3 threads each or what .* needs, seed 9\nlocks mutex: SUCC/,
    );
    const report = JSON.parse(readFileSync(join(dir, 'out.json'), 'utf8')) as TortureReport;
    expect(report).toMatchObject({
      schema: 'kreclaim.torture/1',
      seed: 9,
      threads: 3,
      passed: true,
      interrupted: false,
      groups: [{ group: 'locks' }, { group: 'rcu', types: [{ name: 'srcu' }] }],
    });
  });

  test('Ctrl-C drains and still reports', async () => {
    const args = ['torture', 'locks', '--seconds', '60', '--only', 'mutex,mcs', '--json', '-'];
    const { code, stdout, stderr } = await kreclaim([...args, '--threads', '2'], 'torture: locks');
    expect(code).toBe(130);
    const report = JSON.parse(stdout) as TortureReport;
    expect(report).toMatchObject({ passed: null, interrupted: true });
    expect(report.groups[0]?.types).toMatchObject([
      { name: 'mcs', result: 'interrupted' },
      { name: 'mutex', result: null },
    ]);
    expect(stderr).toMatch(/locks mutex: not run\n/);
    expect(stderr).toMatch(/\nlocks: interrupted, nothing failed: 0\/1 held of 2 types, /);
    expect(stderr).toMatch(/\ntorture: interrupted, nothing failed, seed 1\n$/);
  });

  test.each([
    ['torture locke', /no group 'locke'; give one of locks, rcu, rings, shrinker, reclaim, all$/],
    ['torture --seconds 0', /^kreclaim: --seconds: '0' will not do; give a number in/],
    ['torture --seconds ten', /^kreclaim: --seconds: 'ten' will not do/],
    ['torture --threads 1', /^kreclaim: --threads: '1' will not do; give an integer in 2\.\.60$/],
    ['torture --seed 1.5', /^kreclaim: --seed: '1.5' will not do; give an integer/],
    ['torture rcu --only mutex', /--only: no type 'mutex'; known are rcu, srcu/],
    ['torture --what', /^kreclaim: unknown option '--what'/],
    ['torture --json no/such/file --seconds 1', /no\/such\/file/],
  ])('%s', async (line, message) => {
    const { code, stdout, stderr } = await kreclaim(line.split(' '));
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  test('--list names the types', async () => {
    const { code, stdout } = await kreclaim(['torture', '--list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^locks: spinlock ticket mcs mutex rwsem .*\nrcu: rcu srcu /);
  });
});

describe('explore --mode', () => {
  test('torture: a failure exits 1, a file that is no scenario 2', async () => {
    const lost = await kreclaim([
      ...['explore', fixture('counter'), '--mode', 'torture', '--seconds', '60'],
    ]);
    expect(lost.code).toBe(1);
    expect(lost.stdout).toMatch(/^FAILED \(check\) in round \d+: 40 increments made/);
    const sound = ['explore', fixture('sound'), '--mode', 'torture', '--seconds', '0.1'];
    expect((await kreclaim(sound)).code).toBe(0);
    const empty = await kreclaim(['explore', fixture('empty'), '--mode', 'torture']);
    expect(empty).toMatchObject({ code: 2, stdout: '' });
    expect(empty.stderr).toMatch(/exports no thread function/);
  });

  test('litmus: the table of a test', async () => {
    const args = ['explore', fixture('sb_plain'), '--mode', 'litmus', '--seconds', '0.1'];
    const { code, stdout } = await kreclaim([...args, '--json', 'litmus.json']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sb_plain\n {2}\d+ samples, [\d.]+ M\/s, \d+ % side by side: ok\n/);
    const { schema, tests } = JSON.parse(readFileSync(join(dir, 'litmus.json'), 'utf8'));
    expect(schema).toBe('kreclaim.litmus/1');
    expect(tests).toHaveLength(1);
  });
});
