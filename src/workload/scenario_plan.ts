// SPDX-License-Identifier: GPL-2.0-only
/** From a scenario file to a machine and what it runs. */
import { dirname, resolve } from 'node:path';
import type { MachineConfig } from '../config_schema.ts';
import { UsageError } from '../errors.ts';
import { folderName } from '../host_folders.ts';
import { TASKS_MAX } from '../mm/limits.ts';
import { TASK_ARGS_BYTES } from '../mm/sched_types.ts';
import { INIT_COMM, type Workload } from '../run_machine.ts';
import { type Figures, figuresOf, makeFigures } from './figures.ts';
import type { InitArgs } from './init_program.ts';
import type { KindContext, KindPlan } from './kind_types.ts';
import {
  type CpuPlan,
  groupSpecs,
  memoryOf,
  planCpus,
  scaledMachine,
  scaledPages,
} from './scenario_machine.ts';
import { scaleOf, workloadFields } from './scenario_options.ts';
import type { FileWorkload, ScenarioFile } from './scenario_text.ts';
import type { PlanInput, ScenarioPlan } from './scenario_types.ts';
import type { Trace } from './trace.ts';
import type { GroupSpec, ProcessSpec, ProgramSpec } from './workload.ts';

/** A file with the name that the report gives it. */
type NamedFile = ScenarioFile & { readonly name: string };

/** A workload of the file on its way to a plan. */
interface Part {
  readonly workload: FileWorkload;
  readonly values: Readonly<Record<string, unknown>>;
  /** Of its programs and, where there are several workloads, of its figures. */
  readonly name: string;
  readonly cpus: readonly number[];
}

/** All that the plans of workloads are made from. */
interface Base {
  readonly file: NamedFile;
  readonly traces: ReadonlyMap<string, Trace>;
  readonly scale: number;
  readonly seed: number;
  readonly memoryPages: number;
  readonly groups: readonly GroupSpec[];
  readonly figures: Figures;
  /** Begins the figures of a part: empty where there is one only. */
  readonly prefixOf: (part: Part) => string;
  /** Folders of the host that workloads have asked for. */
  readonly folders: string[];
}

/** Names of the workloads: their own, or their kinds', numbered where they are not different. */
function partNames(workloads: readonly FileWorkload[]): string[] {
  const plain = workloads.map(({ name, kind }) => name ?? kind.kind);
  return plain.map((name, at) => {
    if (plain.indexOf(name) === plain.lastIndexOf(name)) return name;
    return `${name}${plain.slice(0, at).filter((other) => other === name).length + 1}`;
  });
}

function figuresFor(parts: readonly Part[], prefixOf: Base['prefixOf'], cpus: number): Figures {
  const names = (of: 'figures' | 'latencies'): string[] =>
    parts.flatMap((part) =>
      Object.keys(part.workload.kind[of] ?? {}).map((name) => `${prefixOf(part)}${name}`),
    );
  return makeFigures(names('figures'), cpus, names('latencies'));
}

function contextOf(base: Base, part: Part): KindContext {
  const { file, scale, seed, folders, traces } = base;
  const { workload, name, cpus } = part;
  const group = base.groups.find((group) => group.name === workload.group);
  const memoryPages = Math.min(base.memoryPages, group?.maxPages ?? Infinity);
  const at = (path: string): string => resolve(dirname(file.file), path);
  return {
    prefix: `${name}/`,
    cpus,
    memoryPages,
    scale,
    seed,
    figures: figuresOf(base.figures, base.prefixOf(part)),
    pages: (field, size) => scaledPages(field, size, scale, memoryPages),
    path: at,
    folder: () => {
      const folder = folderName();
      folders.push(folder);
      return folder;
    },
    trace: (path) => {
      const trace = traces.get(at(path));
      if (trace !== undefined) return trace;
      throw new UsageError(`${file.file}: its traces are not read; use loadScenario`);
    },
    bad: (field, reason, hint) => file.bad(`${workload.path}.${field}`, reason, hint),
  };
}

/** What the kinds ask of the machine: numbers are added up. */
function mergedConfig(plans: readonly KindPlan[]): MachineConfig {
  const merged: Record<string, unknown> = {};
  for (const { config = {} } of plans) {
    for (const [name, value] of Object.entries(config)) {
      const before = merged[name];
      merged[name] =
        typeof value === 'number' && typeof before === 'number' ? before + value : value;
    }
  }
  return merged;
}

const init = (args: InitArgs): ProcessSpec['program'] => ({
  module: new URL('./init_program.js', import.meta.url).href,
  export: 'init',
  args,
});

const sum = (plans: readonly KindPlan[], of: (plan: KindPlan) => number): number =>
  plans.reduce((total, plan) => total + of(plan), 0);

/** The first process, where there are workloads for it to start. */
function initProcess(
  file: ScenarioFile,
  parts: readonly Part[],
  plans: readonly KindPlan[],
  shared: readonly number[],
): ProcessSpec[] {
  const workloads = parts.flatMap(({ workload, cpus }, at) => {
    const { root, args = null } = plans[at] as KindPlan;
    if (root === undefined) return [];
    if (Buffer.byteLength(JSON.stringify(args)) > TASK_ARGS_BYTES) {
      throw file.bad(`${workload.path}.args`, 'are too long', `give ${TASK_ARGS_BYTES} bytes`);
    }
    return [{ program: root, args, cpus, group: workload.group ?? null }];
  });
  if (workloads.length === 0) return [];
  const started = plans.filter(({ root }) => root !== undefined);
  const rows = {
    vmas: sum(started, (plan) => plan.vmas),
    pageTables: sum(started, (plan) => plan.pageTables),
  };
  const footprintPages = sum(started, (plan) => plan.footprintPages);
  const cpus = [...shared];
  const program = init({ workloads });
  return [{ comm: INIT_COMM, cpus, program, generator: true, vmas: [], footprintPages, rows }];
}

function processes(
  file: ScenarioFile,
  parts: readonly Part[],
  plans: readonly KindPlan[],
  { shared }: CpuPlan,
) {
  const own = plans.flatMap(({ processes = [] }, at) => {
    const { group } = (parts[at] as Part).workload;
    return processes.map((spec) => (group === undefined ? spec : { ...spec, group }));
  });
  return [...initProcess(file, parts, plans, shared), ...own];
}

/** @throws UsageError for two programs of one name */
function programs(
  file: ScenarioFile,
  parts: readonly Part[],
  plans: readonly KindPlan[],
): ProgramSpec[] {
  const names = new Set<string>();
  return plans.flatMap(({ programs = [] }, at) => {
    for (const { name } of programs) {
      if (names.has(name)) {
        const hint = 'programs of all workloads need names of their own';
        throw file.bad((parts[at] as Part).workload.path, `a program is '${name}' already`, hint);
      }
      names.add(name);
    }
    return programs;
  });
}

/** The options as the report has them: of all workloads, by their names where there are several. */
function reportedOptions({ scale, prefixOf }: Base, parts: readonly Part[]) {
  const options: Record<string, string | number | boolean> = { scale };
  for (const part of parts) {
    for (const [name, value] of Object.entries(part.values)) {
      const plain = ['string', 'number', 'boolean'].includes(typeof value);
      if (plain) options[`${prefixOf(part)}${name}`] = value as string;
    }
  }
  return options;
}

function progressOf(parts: readonly Part[], plans: readonly KindPlan[], many: boolean): string {
  return plans
    .flatMap(({ progress }, at) => {
      if (progress === undefined) return [];
      return [many ? `${(parts[at] as Part).name}: ${progress()}` : progress()];
    })
    .join('; ');
}

/** @throws UsageError where the machine may not have what a workload is made of */
function checkHostFiles(parts: readonly Part[], plans: readonly KindPlan[], config: MachineConfig) {
  const at = plans.findIndex(({ config: own }) => own?.hostFiles === true);
  if (at < 0 || config.hostFiles !== false) return;
  const { kind } = (parts[at] as Part).workload.kind;
  throw new UsageError(`hostFiles: workload ${kind} uses files of the host; leave the option out`);
}

/**
 * What to run for a scenario file. What the input's configuration says stands; then the file; then
 * what the kinds ask for.
 * @throws UsageError for what cannot be
 */
export function fileScenario(
  file: NamedFile,
  traces: ReadonlyMap<string, Trace>,
  { config: given, options, seed }: PlanInput,
): ScenarioPlan {
  const scale = scaleOf(options, file.scale);
  const config = { ...scaledMachine(file.machine as MachineConfig, scale), ...given };
  const values = file.workloads.map((workload) => workloadFields(workload, options));
  const owns = file.workloads.map(({ kind }, at) => kind.ownCpus?.(values[at] as never) ?? 0);
  const cpus = planCpus(file, owns, config.cpus);
  const names = partNames(file.workloads);
  const parts = file.workloads.map(
    (workload, at): Part => ({
      workload,
      values: values[at] as Record<string, unknown>,
      name: names[at] as string,
      cpus: cpus.of[at] as readonly number[],
    }),
  );
  const many = parts.length > 1;
  const prefixOf = ({ name }: Part): string => (many ? `${name}.` : '');
  const memory = memoryOf(config, scale);
  const base: Base = {
    ...{ file, traces, scale, prefixOf, folders: [] },
    seed: config.seed ?? file.seed ?? seed,
    memoryPages: memory.pages,
    groups: groupSpecs(file.groups, scale, memory.pages),
    figures: figuresFor(parts, prefixOf, cpus.count),
  };
  const plans = parts.map((part) => {
    return part.workload.kind.plan(contextOf(base, part), part.values as never);
  });
  checkHostFiles(parts, plans, config);
  const workload: Workload = {
    processes: processes(file, parts, plans, cpus),
    programs: programs(file, parts, plans),
    groups: base.groups,
    folders: base.folders,
    traces: plans.flatMap(({ traces = [] }) => traces),
    scenario: { name: file.name, options: reportedOptions(base, parts), figures: base.figures },
  };
  const tasks = 1 + sum(plans, (plan) => plan.tasks);
  return {
    config: {
      ...mergedConfig(plans),
      tasksMax: Math.min(tasks, TASKS_MAX),
      ...(memory.size === undefined ? {} : { memory: memory.size }),
      ...(file.seed === undefined ? {} : { seed: file.seed }),
      ...config,
      cpus: cpus.count,
    },
    workload,
    progress: () => progressOf(parts, plans, many),
  };
}
