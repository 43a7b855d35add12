// SPDX-License-Identifier: GPL-2.0-only
/** Traces replayed with the kinds of their VMAs: whole, gone without a trace, and checked. */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MachineConfig, readTrace, runWorkload, type Trace } from '../../dist/src/index.js';
import { makeTraceFiles } from '../../dist/src/workload/trace_files.js';
import { replayProcesses } from '../../dist/src/workload/workload.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'dist/src/cli/main.js');
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-test-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Its temporary directory is a folder of the test's own, and must be empty at the end. */
function kreclaim(args: string, interruptAt?: string) {
  const temp = mkdtempSync(join(dir, 'tmp-'));
  const env = { ...process.env, TMPDIR: temp };
  const child = spawn(process.execPath, [MAIN, ...args.split(' ')], { cwd: dir, env });
  let stdout = '';
  let stderr = '';
  let made: string[] = [];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
    if (interruptAt === undefined || !stderr.includes(interruptAt) || made.length > 0) return;
    made = readdirSync(temp);
    child.kill('SIGINT');
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string; made: string[] }>(
    (resolve) => {
      child.on('close', (code) => {
        expect(readdirSync(temp)).toEqual([]);
        resolve({ code, stdout, stderr, made });
      });
    },
  );
}

let trace: Trace;
beforeAll(async () => {
  trace = await readTrace(join(ROOT, 'traces/sqlite.ftrc.gz'), { limit: 120_000, ranges: true });
});

const config = (given: MachineConfig): MachineConfig => ({
  memcgMax: '40%',
  readAheadKb: 0,
  lockdep: true,
  ...given,
});

describe.each(['mixed', 'file'] as const)('--vmas %s', (vmas) => {
  it.each([1, 2])('reclaims and keeps all pages, %i CPUs', { timeout: 120_000 }, async (cpus) => {
    const given = config({ vmas, cpus, share: cpus > 1 });
    const processes = replayProcesses([trace], cpus, cpus > 1, vmas);
    const report = await runWorkload({ processes, traces: [trace] }, given);
    const { integrity, vmstat } = report;
    expect(integrity).toMatchObject({ mismatches: 0, violations: 0, details: [] });
    expect(integrity.pagesVerified).toBe(trace.pages.length);
    expect(vmstat.pgsteal_file).toBeGreaterThan(0);
    expect(vmstat.workingset_refault_file).toBeGreaterThan(0);
    // Private mappings write nothing to their file.
    if (vmas === 'mixed') expect(vmstat.nr_dirtied).toBe(0);
    else expect(vmstat.nr_dirtied).toBeGreaterThan(0);
  });

  it('repeats under a seed', { timeout: 120_000 }, async () => {
    const short = await readTrace(join(ROOT, 'traces/sqlite.ftrc.gz'), {
      limit: 2000,
      ranges: true,
    });
    const run = () => {
      const processes = replayProcesses([short], 1, false, vmas);
      const given = config({ vmas, mode: 'deterministic', seed: 5, memcgMax: '60%' });
      return runWorkload({ processes, traces: [short] }, given);
    };
    const [one, two] = [await run(), await run()];
    expect(one.integrity).toMatchObject({ mismatches: 0, violations: 0 });
    expect(one.schedule?.scheduleHash).toBe(two.schedule?.scheduleHash);
    expect(one.vmstat).toEqual(two.vmstat);
  });

  it('notices a page that is not the one it should be', async () => {
    const files = makeTraceFiles(replayProcesses([trace], 1, false, vmas));
    const file = files.processes[0]?.file as { dir: string; name: string };
    // One word behind the CPUs' slots of the eighth page.
    const fd = openSync(join(file.dir, file.name), 'r+');
    writeSync(fd, Uint8Array.of(1, 2, 3, 4), 0, 4, 7 * 4096 + 2000);
    const report = await runWorkload({ processes: files.processes }, config({ vmas }));
    files.remove();
    expect(report.integrity.mismatches).toBe(1);
    expect(report.integrity.details[0]).toMatch(/fill differs at word 500/);
  });
});

describe('the command line', () => {
  beforeAll(() => {
    copyFileSync(join(ROOT, 'traces/sort.ftrc.gz'), join(dir, 'own.ftrc.gz'));
    copyFileSync(join(ROOT, 'traces/sort.json'), join(dir, 'own.json'));
    mkdirSync(join(dir, 'bare'));
    copyFileSync(join(ROOT, 'traces/sort.ftrc.gz'), join(dir, 'bare/own.ftrc.gz'));
  });

  it("takes a user's own trace with its sidecar", async () => {
    const args = 'run own.ftrc.gz --vmas mixed --events 100000 --memcg-max 40% -q';
    const { code, stdout, stderr } = await kreclaim(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/ pages read back, 0 mismatches; .* 0 violations\n/);
  });

  it('leaves no file behind when interrupted', async () => {
    const args = 'run own.ftrc.gz --vmas file --memcg-max 20%';
    const { code, made } = await kreclaim(args, ' s ');
    expect(code).toBe(130);
    expect(made).toEqual([expect.stringMatching(/^kreclaim-vmas-/)]);
  });

  it.each([
    ['run bare/own.ftrc.gz --vmas mixed', /^kreclaim: bare\/own\.ftrc\.gz: its pages' kinds are /],
    ['run bare/own.ftrc.gz --vmas file', /there is no own\.json; give a trace with a sidecar, or /],
    ['run own.ftrc.gz --vmas some', /^kreclaim: --vmas: 'some' will not do; give 'anon', 'mixed' /],
    [
      'run quick --vmas file',
      /^kreclaim: --vmas: goes with traces, not with the scenario quick\n$/,
    ],
    ['run own.ftrc.gz --vmas file --contents off', /^kreclaim: --vmas: mapped files need page /],
    ['reproduce reference --mapping some', /^kreclaim: --mapping: 'some' will not do; give some /],
    ['reproduce origin --mapping anon', /^kreclaim: --mapping: goes with reproduce reference\n$/],
  ])('%s is refused in one line', async (args, message) => {
    const { code, stdout, stderr } = await kreclaim(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  });
});
