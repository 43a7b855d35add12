// SPDX-License-Identifier: GPL-2.0-only
/** Scenario files: what they may say, what a fault is called, and the machine that comes of one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resolveMachine } from '../../../../dist/src/config.js';
import { type MachineConfig, UsageError, type Workload } from '../../../../dist/src/index.js';
import { KINDS } from '../../../../dist/src/workload/kinds.js';
import { allScenarioOptions, planScenario } from '../../../../dist/src/workload/scenario.js';
import { bundledNames } from '../../../../dist/src/workload/scenario_file.js';
import { kindOptions } from '../../../../dist/src/workload/scenario_options.js';
import { fileScenario } from '../../../../dist/src/workload/scenario_plan.js';
import { parseScenario } from '../../../../dist/src/workload/scenario_text.js';
import type { PlanInput } from '../../../../dist/src/workload/scenario_types.js';
import { pageText, schemaText } from '../../../../scripts/scenario_docs.mjs';

const MiB = 1 << 20;

function plan(file: object, input: Partial<PlanInput> = {}) {
  const parsed = parseScenario(JSON.stringify(file), 'mine.json');
  const full = { config: {}, options: {}, seed: 1, events: undefined, ...input };
  return fileScenario({ ...parsed, name: 'mine' }, new Map(), full);
}

const resolve = (config: MachineConfig, { processes, programs, groups }: Workload) =>
  resolveMachine(config, processes, programs, groups);

const memcached = (more: object = {}) => ({ kind: 'memcached', ...more });

describe('what is wrong with a file is said in one line', () => {
  it.each([
    ['{', /^mine\.json: 1:2: the text ends where a name in double quotes was expected; mend/],
    ['[]', /^mine\.json: 1:1: a list will not do; give an object$/],
    ['{}', /^mine\.json: 1:1: workloads: is missing; give it$/],
    ['{"workloads": []}', /^mine\.json: 1:15: workloads: \[\] will not do; give at least one/],
    ['{"workloads": [{}]}', /1:16: workloads\[0\]\.kind: is missing; give one of monkey, mem/],
    ['{"workloads": [{"kind": "x"}]}', /1:25: workloads\[0\]\.kind: 'x' is no kind; give one of/],
    ['{"workloads": [3]}', /1:16: workloads\[0\]: 3 will not do/],
    ['{"a": 1, "workloads": []}', /1:7: a: no such field; known are \$schema, name, desc/],
    [
      '{\n"workloads": [\n  {"kind": "monkey", "apps": 0}]}',
      /^mine\.json: 3:30: workloads\[0\]\.apps: 0 will not do; give an integer in 1\.\.1000$/,
    ],
    [
      '{"workloads": [{"kind": "monkey", "heep": 1}]}',
      /workloads\[0\]\.heep: no such field; known are kind, name, group, cpus, apps, launches/,
    ],
    ['{"workloads": [{"kind": "memcached", "heap": "x"}]}', /heap: 'x' will not do; give a size/],
    ['{"workloads": [{"kind": "memcached", "group": "g"}]}', /group: no group 'g'; give groups/],
    ['{"workloads": [{"kind": "trace"}]}', /1:16: workloads\[0\]\.files: is missing; give it/],
    ['{"scale": 0, "workloads": [{}]}', /1:11: scale: 0 will not do; give a number in/],
    [
      '{"groups": [{"name": "a"}, {"name": "a"}], "workloads": [{"kind": "memcached"}]}',
      /1:37: groups\[1\]\.name: a group is 'a' already; give another name$/,
    ],
    [
      '{"groups": [{"name": "a/b"}], "workloads": [{"kind": "memcached"}]}',
      /groups\[0\]\.name: 'a\/b' will not do; give 1\.\.31 letters/,
    ],
    [
      '{"groups": [{"name": "a", "memory.hi": 1}], "workloads": [{"kind": "memcached"}]}',
      /groups\[0\]\.memory\.hi: no such field; known are name, memory\.max/,
    ],
    [
      '{"machine": {"swappiness": 300}, "workloads": [{"kind": "memcached"}]}',
      /^mine\.json: 1:28: machine\.swappiness: 300 will not do; give an integer in 0\.\.200$/,
    ],
    [
      '{"machine": {"vm.swappiness": 300}, "workloads": [{"kind": "memcached"}]}',
      /^mine\.json: 1:31: machine\.vm\.swappiness: 300 will not do; give an integer in/,
    ],
    [
      '{"machine": {"memroy": 1}, "workloads": [{"kind": "memcached"}]}',
      /^mine\.json: 1:13: machine: unknown option 'memroy'; known are memory, /,
    ],
  ])('%s', (text, expected) => {
    const parse = () => parseScenario(text, 'mine.json');
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(expected);
  });

  it('CPUs that are not there, or somebody else has', () => {
    const two = { machine: { cpus: 2 }, workloads: [memcached({ cpus: [0, 2] })] };
    expect(() => plan(two)).toThrow(
      /workloads\[0\]\.cpus\[1\]: the machine has 2 CPUs, and none is number 2; give 0\.\.1/,
    );
    const traces = { kind: 'trace', files: ['a.ftrc', 'b.ftrc'] };
    expect(() => plan({ machine: { cpus: 1 }, workloads: [traces] })).toThrow(
      /^mine\.json: 1:\d+: workloads\[0\]: needs 2 CPUs to itself; give the machine more/,
    );
  });

  it('two programs of one name, and arguments that are too long', () => {
    const program = {
      kind: 'program',
      module: new URL('../../../../examples/workload.mjs', import.meta.url).pathname,
      programs: [{ name: 'child', export: 'child' }],
    };
    expect(() => plan({ workloads: [program, program] })).toThrow(/a program is 'child' already/);
    const args = 'x'.repeat(2000);
    expect(() => plan({ workloads: [{ ...program, args }] })).toThrow(/args: are too long/);
    expect(() => plan({ workloads: [{ ...program, module: 'no.mjs' }] })).toThrow(
      /workloads\[0\]\.module: 'no\.mjs': no such file; check the path/,
    );
  });
});

describe('the machine of a file', () => {
  it('has 64 MiB times the scale, and all else follows', () => {
    const file = { scale: 2, workloads: [memcached({ heap: '50%' }), memcached({ heap: '1M' })] };
    const { config, workload } = plan(file);
    expect(config.memory).toBe(128 * MiB);
    expect(workload.processes[0]?.footprintPages).toBe((64 * MiB + 2 * MiB) / 4096);
    const four = plan(file, { options: { scale: '4' } });
    expect(four.config.memory).toBe(256 * MiB);
    expect(four.workload.processes[0]?.footprintPages).toBe((128 * MiB + 4 * MiB) / 4096);
  });

  it("is what the command line says, then the file, then the kinds'", () => {
    const file = {
      seed: 5,
      machine: { memory: '8M', swap: 'file', 'vm.swappiness': 10 },
      workloads: [memcached()],
    };
    const own = plan(file).config;
    expect(own).toMatchObject({ memory: 8 * MiB, swap: 'file', swappiness: 10, seed: 5, cpus: 2 });
    const given = plan(file, { config: { memory: '16M', swap: 'zram', seed: 6, cpus: 3 } });
    expect(given.config).toMatchObject({ memory: '16M', swap: 'zram', swappiness: 10, seed: 6 });
    expect(given.workload.processes[0]).toMatchObject({ cpus: [0, 1, 2] });
    expect(given.workload.processes[0]?.footprintPages).toBe((24 * MiB) / 4096);
    expect(plan({ workloads: [{ kind: 'monkey' }] }).config.hostFiles).toBe(true);
  });

  it('has its groups, and workloads are as large as theirs', () => {
    const groups = [
      { name: 'a', 'memory.max': '25%', 'memory.low': '1M' },
      { name: 'b', 'memory.high': '50%', 'memory.swap.max': '2M' },
    ];
    const workloads = [memcached({ group: 'a' }), memcached({ group: 'b' })];
    const { config, workload } = plan({ groups, workloads });
    const { mm } = resolve(config, workload);
    expect(mm.memcgs).toMatchObject([
      { name: '' },
      { name: 'a', parent: 0, maxPages: 4096, lowPages: 256, highPages: null },
      { name: 'b', parent: 0, maxPages: null, highPages: 8192, swapMaxPages: 512 },
    ]);
    expect(workload.processes[0]?.footprintPages).toBe((24 + 96) * 256);
    const limited = resolve({ ...config, memcgMax: '32M' }, workload).mm;
    expect(limited.memcgs).toMatchObject([{ name: '' }, { name: 'programs' }, { parent: 1 }, {}]);
  });

  it('has figures by the names of its workloads', () => {
    const workloads = [memcached(), memcached(), memcached({ name: 'big' }), { kind: 'forkstorm' }];
    const { workload } = plan({ workloads });
    const names = workload.scenario?.figures.names ?? [];
    expect(names.filter((name) => name.endsWith('.ops'))).toEqual([
      'memcached1.ops',
      'memcached2.ops',
      'big.ops',
    ]);
    expect(workload.scenario?.options).toMatchObject({ 'big.heap': '150%', 'forkstorm.depth': 3 });
    const programs = (workload.programs ?? []).map(({ name }) => name);
    expect(new Set(programs).size).toBe(programs.length);
  });

  it('deals its CPUs', () => {
    const storm = { kind: 'forkstorm', cpus: [1] };
    const { config, workload } = plan({
      machine: { cpus: 3 },
      workloads: [storm, memcached()],
    });
    expect(config.cpus).toBe(3);
    expect(workload.processes[0]?.program.args).toMatchObject({
      workloads: [{ cpus: [1] }, { cpus: [0, 1, 2] }],
    });
  });
});

describe('options of the command line', () => {
  it('go to every workload that has them', () => {
    const workloads = [memcached(), { kind: 'forkstorm' }];
    const { workload } = plan({ workloads }, { options: { seconds: '2.5', ops: '7' } });
    expect(workload.scenario?.options).toMatchObject({
      'memcached.seconds': 2.5,
      'memcached.ops': 7,
      'forkstorm.seconds': 2.5,
    });
  });

  it.each([
    [{ ops: '0' }, /^--ops: '0' will not do; give an integer in 1\.\.1000000000$/],
    [{ heap: '5 parsecs' }, /^--heap: '5 parsecs' will not do; give a size such as/],
    [{ scale: 'x' }, /^--scale: 'x' will not do; give a number in/],
    [{ apps: '3' }, /^--apps: not an option of scenario memcached, which takes --scale, --heap/],
  ])('%j', (options, expected) => {
    expect(() => planScenario('memcached', { options })).toThrow(expected);
  });

  it('mean one thing on all command lines', () => {
    const all = new Map(allScenarioOptions().map(({ name, value }) => [name, value]));
    for (const { name, value } of KINDS.flatMap(kindOptions)) {
      expect([name, value]).toEqual([name, all.get(name)]);
    }
  });
});

it.each(bundledNames())('%s runs from megabytes to gigabytes', (name) => {
  for (const scale of [1 / 32, 1, 32]) {
    const { config, workload } = planScenario(name, { options: { scale } });
    const { mm } = resolve(config, workload);
    const pages = mm.nodes[0]?.zonePages[0] ?? 0;
    expect([name, pages]).toEqual([name, Math.max(512, scale * 16384)]);
  }
});

it('the schema and the document are those of the validator', () => {
  const file = (name: string) => new URL(`../../../../docs/${name}`, import.meta.url);
  expect(readFileSync(file('scenario.schema.json'), 'utf8')).toBe(schemaText());
  const page = readFileSync(file('scenarios.md'), 'utf8');
  expect(page).toBe(pageText(page));
});
