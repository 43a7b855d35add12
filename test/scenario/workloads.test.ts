// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every bundled scenario file, small: on real threads with the order of locks checked, in schedules
 * with faults, twice for one seed; and what each kind is for is seen to happen.
 */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  loadScenario,
  type MachineConfig,
  planScenario,
  type RunReport,
  type RunWorkloadOptions,
  reportExitCode,
  runWorkload,
  type Sample,
  type Workload,
} from '../../dist/src/index.js';
import { bundledNames } from '../../dist/src/workload/scenario_file.js';

const LIMIT = { timeout: 240_000 };
/** 2 MiB, the smallest machine. */
const SCALE = 1 / 32;

type Options = Record<string, string | number>;

/** Fixed amounts of work that take a moment, by option: each scenario takes those that it has. */
const SHORT: Options = { launches: 30, apps: 8, rounds: 1, ops: 1500, depth: 2, units: 24 };
/** What makes memory short although little is done. */
const LARGE: Readonly<Record<string, Options>> = { monkey: { heap: '25%' } };
const SHORTER: Options = { ...SHORT, launches: 10, width: 2, ops: 400, units: 6, numJobs: 3 };

interface Ran {
  readonly report: RunReport;
  readonly workload: Workload;
}

async function run(
  name: string,
  options: Options,
  config: MachineConfig = {},
  how: RunWorkloadOptions = {},
): Promise<Ran> {
  const scenario = await loadScenario(name);
  const known = scenario.options.map((option) => option.name);
  const own = Object.entries({ scale: SCALE, ...LARGE[name], ...options }).filter(([key]) =>
    known.includes(key),
  );
  const { workload, config: machine } = planScenario(scenario, {
    options: Object.fromEntries(own),
    config: { lockdep: true, ...config },
  });
  return { report: await runWorkload(workload, machine, how), workload };
}

/** Nothing broke, nobody is left, every page held what was stored, and the folders are gone. */
function expectClean({ report, workload }: Ran): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  const { forks = 0, exits = -1 } = report.tasks ?? {};
  expect(exits).toBe(forks + 1);
  expect(workload.folders?.filter(existsSync) ?? []).toEqual([]);
}

const figures = ({ report }: Ran): Record<string, number> => report.scenario?.figures ?? {};

describe.each(bundledNames())('%s', (name) => {
  it('on real threads', LIMIT, async () => {
    const ran = await run(name, SHORT);
    expectClean(ran);
    expect(reportExitCode(ran.report)).toBe(0);
    expect(ran.report.vmstat.pgsteal_kswapd + ran.report.vmstat.pgsteal_direct).toBeGreaterThan(0);
  });

  it('in a schedule, with faults', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 1, faults: 'all', cpus: 3 } as const;
    expectClean(await run(name, SHORTER, config));
  });

  it('schedules of one seed agree', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 11, faults: 'all' } as const;
    const [a, b] = [await run(name, SHORTER, config), await run(name, SHORTER, config)];
    expectClean(a);
    for (const part of ['schedule', 'vmstat', 'processes', 'scenario', 'faults'] as const) {
      expect(b.report[part]).toEqual(a.report[part]);
    }
  });
});

describe('monkey', () => {
  it('launches cold and hot, and kills the oldest', LIMIT, async () => {
    const ran = await run('monkey', { launches: 80, apps: 16, heap: '20%' });
    expectClean(ran);
    const { launches, cold = 0, hot = 0, kills = 0, coldStartP50Us } = figures(ran);
    expect(launches).toBe(80);
    expect(cold + hot).toBe(80);
    expect(Math.min(cold, hot, kills)).toBeGreaterThan(0);
    expect(cold).toBeGreaterThan(kills / 2);
    expect(coldStartP50Us).toBeGreaterThan(0);
    expect(ran.report.vmstat.pgscan_file).toBeGreaterThan(0);
  });

  it('outlives the OOM killer, who takes apps or the zygote', LIMIT, async () => {
    const config = { swap: 'none', faults: 'all' } as const;
    const ran = await run('monkey', { launches: 60, maxStall: 1, minAvailable: '4K' }, config);
    expectClean(ran);
    expect(ran.report.vmstat.oom_kill).toBeGreaterThan(0);
  });
});

it('memcached runs for so long as it is told, its threads on all CPUs', LIMIT, async () => {
  const ran = await run('memcached', { seconds: 0.5, sets: 0.5 }, { cpus: 3 });
  expectClean(ran);
  const { ops = 0, sets = 0, threads, opsPerSec, getP50Us, setP99Us } = figures(ran);
  expect(threads).toBe(2);
  expect(sets / ops).toBeGreaterThan(0.4);
  expect(sets / ops).toBeLessThan(0.6);
  expect(Math.min(opsPerSec ?? 0, getP50Us ?? 0, setP99Us ?? 0)).toBeGreaterThan(0);
  expect(ran.report.vmstat.pswpin).toBeGreaterThan(0);
});

it('groups hold what their workloads touch, within their limits', LIMIT, async () => {
  const ran = await run('neighbours', SHORT);
  const max = Number(ran.report.proc['/sys/fs/cgroup/batch/memory.max']);
  expect(max).toBe((2 << 20) / 2);
  expect(ran.report.proc['/sys/fs/cgroup/cache/memory.low']).toBe(
    `${Math.floor(512 * 0.4) * 4096}\n`,
  );
  const events = String(ran.report.proc['/sys/fs/cgroup/batch/memory.events']);
  expect(Number(/^max (\d+)/m.exec(events)?.[1])).toBeGreaterThan(0);
});

it.each(['monkey', 'memcached', 'neighbours'])('an interrupt drains %s', LIMIT, async (name) => {
  const stop = new AbortController();
  const onSample = (sample: Sample): void => {
    if ((sample.pswpout ?? 0) > 0) stop.abort();
  };
  const ran = await run(name, { seconds: 1000 }, {}, { signal: stop.signal, onSample });
  expect(ran.report.interrupted).toBe(true);
  expectClean(ran);
});
