// SPDX-License-Identifier: GPL-2.0-only
/** Scenario files on the command line: a user's own, with traces and programs, run and compared. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import {
  type CompareReport,
  generateTrace,
  type RunReport,
  writeTrace,
} from '../../dist/src/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'dist/src/cli/main.js');
const LIMIT = { timeout: 180_000 };
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-scenario-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function kreclaim(line: string) {
  const child = spawn(process.execPath, [MAIN, ...line.split(' ')], { cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const json = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));

mkdirSync(join(dir, 'own'));
await writeTrace(
  join(dir, 'own', 'zipf.ftrc.gz'),
  generateTrace({ kind: 'zipf', pages: 500, events: 5000 }),
);
writeFileSync(
  join(dir, 'own', 'mine.json'),
  `{
  "machine": { "memory": "2M", "lockdep": true },
  "groups": [{ "name": "replayers", "memory.max": "50%" }],
  "workloads": [
    { "kind": "trace", "files": ["zipf.ftrc.gz"], "group": "replayers" },
    { "kind": "trace", "name": "together", "files": ["zipf.ftrc.gz"], "threads": 2 },
    { "kind": "memcached", "ops": 500 }
  ]
}`,
);

it('runs traces beside a workload, by paths from the file', LIMIT, async () => {
  const { code, stdout, stderr } = await kreclaim('run own/mine.json -q --json mine-run.json');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/\nmine: memcached\.ops 500, /);
  const report = json('mine-run.json') as RunReport;
  expect(report.config).toMatchObject({ cpus: 5, memory: 2 << 20, lockdep: true });
  const placed = report.processes
    .filter(({ parent }) => parent === 0)
    .map(({ comm, cpus, memcg }) => ({ comm, cpus, memcg }));
  expect(placed).toEqual([
    { comm: 'init', cpus: [0, 1], memcg: '' },
    { comm: 'zipf', cpus: [4], memcg: 'replayers' },
    { comm: 'zipf', cpus: [2, 3], memcg: '' },
  ]);
  expect(report.traces.map(({ events }) => events)).toEqual([5000, 5000]);
  expect(report.scenario).toMatchObject({ name: 'mine', options: { 'memcached.ops': 500 } });
});

it('a range of seeds, and a line that replays the one that fails', LIMIT, async () => {
  const args = 'own/mine.json --ops 50 --events 300 --seeds 1..2 --faults -q';
  const { code, stdout } = await kreclaim(`run ${args}`);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^seeds 1\.\.2: 2 run, none failed/);
});

it('compares a file with itself at another setting', LIMIT, async () => {
  const line = 'compare own/mine.json --toggle ops=50,100 --events 300 --runs 2 -q --json c.json';
  const { code, stderr } = await kreclaim(line);
  expect([code, stderr]).toEqual([0, '']);
  const { sides, runs } = json('c.json') as CompareReport;
  expect([sides.a.label, sides.b.label]).toEqual(['ops=50', 'ops=100']);
  const ops = runs.map(({ side, counters }) => [side, counters['scenario.memcached.ops']]);
  expect(ops.sort()).toEqual([
    ['a', 50],
    ['a', 50],
    ['b', 100],
    ['b', 100],
  ]);
});

it('the example of a program of one’s own', LIMIT, async () => {
  const file = join(ROOT, 'examples', 'workload.json');
  const { code, stderr } = await kreclaim(`run ${file} -q --json copies.json`);
  expect([code, stderr]).toEqual([0, '']);
  const report = json('copies.json') as RunReport;
  expect(report.processes.filter(({ comm }) => comm === 'child')).toHaveLength(4);
  expect(report.processes.every(({ status }) => status === 'done')).toBe(true);
  expect(report.vmstat.pswpin).toBeGreaterThan(0);
});
