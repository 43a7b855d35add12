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
  /** Of node itself. */
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Sent once, when the first line of progress is there. */
  readonly interrupt?: boolean;
}

function kreclaim(args: readonly string[], options: Options = {}): Promise<Result> {
  const env = { ...process.env, ...options.env };
  const child = spawn(process.execPath, [...(options.execArgv ?? []), MAIN, ...args], {
    cwd: dir,
    env,
  });
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

describe('run --mode deterministic', () => {
  const base = ['run', 'small.csv', '--events', '3000'];
  const fixed = (file: string) => {
    const free = ['node', 'cpus', 'wallMs', 'cpuMs'];
    const text = readFileSync(join(dir, file), 'utf8');
    return JSON.parse(text, (key, value) => (free.includes(key) ? null : value));
  };

  it('gives the same report for the same seed', async () => {
    const args = [...base, '--mode', 'deterministic', '--seed', '9', '--faults', '-q'];
    const runs = await Promise.all([
      kreclaim([...args, '--json', 'a.json']),
      kreclaim([...args, '--json', 'b.json']),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(fixed('a.json')).toEqual(fixed('b.json'));
    expect(readReport('a.json')).toMatchObject({ mode: 'deterministic', seed: 9 });
    expect(readReport('a.json').faults.fail_trylock).toBeGreaterThan(0);
  });

  it('prints the line that replays a failure, and the line does', async () => {
    const env = { PLANT: 'panic' };
    const execArgv = ['--import', PLANT];
    const first = await kreclaim([...base, '--seeds', '3..6', '--faults', '--json', 's.json'], {
      env,
      execArgv,
    });
    expect(first.code).toBe(3);
    expect(first.stdout).toMatch(/\nseed 3 failed: kswapd0 threw: /);
    const report = JSON.parse(readFileSync(join(dir, 's.json'), 'utf8'));
    expect(report).toMatchObject({ schema: 'kreclaim.seeds/1', from: 3, to: 6 });
    expect(report.failure.seed).toBe(3);
    expect(report.runs.length).toBeLessThanOrEqual(report.jobs);
    const [, line = ''] = /\nreplay: kreclaim (.*)\n/.exec(first.stdout) ?? [];
    expect(line).toMatch(/^run small\.csv --events 3000 --mode deterministic --seed 3 --fault /);
    const again = await kreclaim([...line.split(' '), '-q', '--json', 'r.json'], { env, execArgv });
    expect(again.code).toBe(3);
    expect(again.stdout).toContain(`replay: kreclaim ${line}\n`);
    expect(readReport('r.json').schedule?.scheduleHash).toMatch(/^[0-9a-f]{8}$/);
  });

  it('takes flags of Node that are none of a worker', async () => {
    const execArgv = ['--max-old-space-size=2048', '--no-warnings', '--stack-size=900'];
    for (const seeds of [
      ['--mode', 'deterministic'],
      ['--seeds', '1..2'],
    ]) {
      const { code, stderr } = await kreclaim([...base, ...seeds, '-q'], { execArgv });
      expect([code, stderr]).toEqual([0, '']);
    }
  });

  it('runs a range of seeds, and says what was injected', async () => {
    const args = ['run', 'quick', '--events', '500', '--seeds', '1..3', '--fault', 'delay=1/50'];
    const { code, stdout } = await kreclaim(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^seeds 1\.\.3: 3 run, none failed; /);
    expect(stdout).toMatch(/\nfaults injected: delay \d+\n/);
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
    ['run small.csv --host-files nowhere', /^--host-files: 'nowhere' is no directory/],
    ['run small.csv --dirty-ratio 0', /^--dirty-ratio: 0 will not do/],
    ['run small.csv --dirty-background-ratio 101', /^--dirty-background-ratio: 101 will not do/],
    ['run small.csv --read-ahead-kb x', /^--read-ahead-kb: 'x' will not do/],
    ['run small.csv --dirty-writeback-centisecs -1', /^--dirty-writeback-centisecs: -1 will not/],
    ['run small.csv --set zswap.max_pool_percent=200', /^--zswap-max-pool-percent: 200 will not/],
    ['run small.csv --set zswap.shrinker_enabled=on', /^--zswap-shrinker-enabled: 'on' will not/],
    ['run small.csv --shrinker none', /^--shrinker: 'none' will not do; give 'rwsem'/],
    ['run small.csv --kmem no', /^--kmem: 'no' will not do; give on or off/],
    ['run small.csv --set vm.vfs_cache_pressure=-1', /^--vfs-cache-pressure: -1 will not do/],
    ['run small.csv --touch 3', /^--touch: goes with a scenario/],
    ['run mount-loop --touch 3', /^--touch: not an option of scenario mount-loop/],
    ['run memcg-tmpfs --file-size 0', /^--file-size: '0' will not do/],
    ['run small.csv --memcgs-max 9999999', /^--memcgs-max: 9999999 will not do/],
    ['run small.csv --config bad.json', /^bad\.json: unknown option 'memroy'/],
    ['run small.csv --config none.json', /^none\.json: no such file/],
    ['run small.csv --json /nowhere/run.json', /^\/nowhere\/run\.json: /],
    ['run small.csv --lru mglru', /not in this version yet/],
    ['run small.csv --seeds 5..1', /^--seeds: '5\.\.1' will not do/],
    ['run small.csv --seeds 1..2 --seed 3', /--seed: give it or --seeds/],
    ['run small.csv --jobs 2', /--jobs: goes with --seeds/],
    ['run small.csv --seeds 1..2 --jobs 0', /--jobs: '0' will not do/],
    ['run small.csv --fault fail_page_alloc=2', /--fault: 'fail_page_alloc=2' will not do/],
    ['run small.csv --fault-seed x', /--fault-seed: 'x' will not do/],
    [
      'run small.csv --kcompressd on',
      /^--kcompressd: 'on' will not do; give one of off, seed, fixed/,
    ],
    ['run small.csv --contended top', /^--contended: 'top' will not do; give one of head, tail/],
    ['run small.csv --kshrinkd-bugs x', /^--kshrinkd-bugs: 'x' will not do/],
    ['run small.csv --klruscand on', /not in this version yet/],
    ['run small.csv --html out.html', /not in this version yet/],
    ['run plan.json', /^plan\.json: no such file/],
    ['run plan.yaml', /^plan\.yaml: scenario files are JSON/],
    ['run bad.json', /^bad\.json: 1:12: memroy: no such field; known are \$schema, name/],
    ['run quick monkey', /^run: 'quick monkey': one scenario at a time/],
    ['run monkey --apps 0', /^--apps: '0' will not do; give an integer in 1\.\.1000/],
    ['run monkey --depth 3', /^--depth: not an option of scenario monkey, which takes --scale, /],
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
