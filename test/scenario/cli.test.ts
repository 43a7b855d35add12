// SPDX-License-Identifier: GPL-2.0-only
/** The command line as a user meets it: child processes, exit codes, what is written where. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../dist/src/index.js';
import { generateTrace, writeTrace } from '../../dist/src/index.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path('../../dist/src/cli/main.js');
// A URL: NODE_OPTIONS splits at spaces, which a path may have.
const PLANT = new URL('../fixtures/plant_fault.mjs', import.meta.url).href;
const SQLITE = path('../../traces/sqlite.ftrc.gz');

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-cli-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const trace = generateTrace({ kind: 'zipf', pages: 1500, events: 20_000 });
await writeTrace(join(dir, 'small.ftrc.gz'), trace);
await writeTrace(join(dir, 'small.csv'), trace);

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Options {
  readonly env?: NodeJS.ProcessEnv;
  /** Sent once, when the first line of progress is there. */
  readonly interrupt?: boolean;
}

function kreclaim(args: readonly string[], options: Options = {}): Promise<Result> {
  const env = { ...process.env, ...options.env };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: dir, env });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    if (options.interrupt === true && stderr === '') child.kill('SIGINT');
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const readReport = (file: string) => JSON.parse(readFileSync(join(dir, file), 'utf8')) as RunReport;

describe('run', () => {
  it('reports in text and JSON, and cat shows parts of it', async () => {
    const args = ['run', 'small.ftrc.gz', 'small.csv', '--memory', '60%', '--json', 'run.json'];
    const { code, stdout } = await kreclaim([...args, '--set', 'vm.swappiness=10', '--tlb', '64']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^small on 2 CPUs; 1 node; memory .* \(60 % of the footprint\)/);
    expect(stdout).toMatch(/\nvmstat\n[\s\S]*\nprocesses\n[\s\S]*\nthreads\n[\s\S]*\nlocks/);
    expect(stdout).toMatch(/\nintegrity: [\d,]+ pages read back, 0 mismatches; .* 0 violations\n$/);
    const report = readReport('run.json');
    expect(report.config).toMatchObject({ swappiness: 10, tlb: 64, cpus: 2 });
    expect(readdirSync(dir).filter((file) => file.includes('.tmp'))).toEqual([]);

    const vmstat = await kreclaim(['cat', 'run.json', '/proc/vmstat']);
    expect(vmstat).toMatchObject({ code: 0, stdout: report.proc['/proc/vmstat'] });
    const list = await kreclaim(['cat', 'run.json']);
    expect(list.stdout.trim().split('\n')).toEqual(Object.keys(report.proc));

    writeFileSync(join(dir, 'again.json'), JSON.stringify(report.config));
    const again = await kreclaim([...args.slice(0, 3), '--config', 'again.json', '--json', '-']);
    expect((JSON.parse(again.stdout) as RunReport).config).toEqual(report.config);
    expect(again.stderr).toMatch(/integrity: /);
  });

  it('shares one address space between CPUs', async () => {
    const args = [
      'run',
      'small.csv',
      '--share',
      '--cpus',
      '3',
      '--memcg-max',
      '50%',
      '--json',
      '-',
    ];
    const { code, stdout } = await kreclaim([
      ...args,
      '--lockdep',
      '--no-lock-stat',
      '--seed',
      '5',
    ]);
    const report = JSON.parse(stdout) as RunReport;
    expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
    expect(code).toBe(0);
    expect(report.processes.map(({ cpus, events }) => [cpus, events])).toEqual([
      [[0, 1, 2], 20_000],
    ]);
    expect(report.lockStat).toEqual([]);
    expect(report.seed).toBe(5);
  });

  it('drains, reports and exits 130 when interrupted', async () => {
    const args = ['run', SQLITE, '--cpus', '4', '--memory', '20%', '--json', 'int.json'];
    const { code, stdout } = await kreclaim(args, { interrupt: true });
    expect(code).toBe(130);
    expect(stdout).toMatch(/, interrupted\n/);
    const report = readReport('int.json');
    expect(report.interrupted).toBe(true);
    expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  });

  it('exits 3 with a report when a thread throws', async () => {
    const env = { NODE_OPTIONS: `--import=${PLANT}`, PLANT: 'panic' };
    const { code, stdout } = await kreclaim(['run', 'small.csv', '--json', 'panic.json'], { env });
    expect(code).toBe(3);
    expect(stdout).toMatch(/\nkernel panic: kswapd0\/2 threw: /);
    expect(readReport('panic.json').panic?.comm).toBe('kswapd0');
  });

  it('exits 1 and says what when bytes went wrong', async () => {
    const env = { NODE_OPTIONS: `--import=${PLANT}`, PLANT: 'corrupt' };
    const { code, stdout } = await kreclaim(['run', 'small.csv', '-q'], { env });
    expect(code).toBe(1);
    expect(stdout).toMatch(/\nintegrity: .* [1-9]\d* mismatches; .*\n {2}.*vpn \d+/);
  });
});

describe('help', () => {
  it('is there for every command, and for none', async () => {
    const { code, stdout } = await kreclaim([]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/kreclaim run quick/);
    const commands = ['run', 'demo', 'trace', 'cat', 'bench', 'reproduce', 'compare'];
    const helps = await Promise.all(commands.map((name) => kreclaim([name, '--help'])));
    for (const help of helps) expect(help).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('bad usage and bad input: one line, exit 2, nothing written', () => {
  writeFileSync(join(dir, 'empty.csv'), '');
  writeFileSync(join(dir, 'text.txt'), 'no trace\n');
  writeFileSync(join(dir, 'bad.json'), '{"memroy": 1}');
  writeFileSync(join(dir, 'cut.ftrc.gz'), readFileSync(join(dir, 'small.ftrc.gz')).subarray(0, 99));

  it.each([
    ['run', /missing required argument/],
    ['run none.gz', /^none\.gz: no such file/],
    ['run empty.csv', /empty/],
    ['run text.txt', /not a trace/],
    ['run cut.ftrc.gz', /truncated/],
    ['run small.csv --frobnicate', /unknown option '--frobnicate'/],
    ['run small.csv --memory 0', /^--memory: 0 is too little/],
    ['run small.csv --memory -3', /^--memory: '-3' is not a size/],
    ['run small.csv --memory 99G', /^--memory: .* above the limit/],
    ['run small.csv --cpus NaN', /^--cpus: 'NaN' will not do/],
    ['run small.csv small.csv --cpus 1', /^--cpus: 1 will not do for 2 traces/],
    ['run small.csv --set vm.none=1', /^--set: /],
    ['run small.csv --contents maybe', /^--contents: /],
    ['run small.csv --config bad.json', /^bad\.json: unknown option 'memroy'/],
    ['run small.csv --config none.json', /^none\.json: no such file/],
    ['run small.csv --json /nowhere/run.json', /^\/nowhere\/run\.json: /],
    ['run small.csv --lru mglru', /not in this version yet/],
    ['run small.csv --kcompressd on', /not in this version yet/],
    ['run small.csv --html out.html', /not in this version yet/],
    ['run plan.json', /not in this version yet/],
    ['torture --seconds 1', /not in this version yet/],
    ['reproduce mglru', /not in this version yet/],
    ['bench nothing', /no group 'nothing'/],
    ['cat small.csv', /not JSON/],
    ['cat bad.json /proc/vmstat', /not a run report/],
    ['nothing', /unknown command 'nothing'/],
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
