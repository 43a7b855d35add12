// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenario churn: parts of the machine come and go under load. On the last CPU a program takes a
 * node offline and online, swap devices off and on, and makes and removes groups, in a loop; a
 * storm of processes runs on the first CPUs, and a user of files on the one between.
 */
import { UsageError } from '../errors.ts';
import { CPUS_MAX } from '../mm/limits.ts';
import { type ChurnFilesArgs, MAPPED_PLACES } from './churn_files_program.ts';
import {
  CHURN_PARTS,
  type ChurnArgs,
  type ChurnPart,
  type ChurnStormArgs,
} from './churn_program.ts';
import { type Figures, makeFigures, sumFigure } from './figures.ts';
import { STORM_FIGURES, stormPrograms, treeSize } from './forkstorm.ts';
import { HEAP_PAGES } from './forkstorm_program.ts';
import { OptionReader, type Scenario } from './scenario_types.ts';
import { type ProcessSpec, vmaTables } from './workload.ts';

const url = (file: string): string => new URL(file, import.meta.url).href;
const FIGURES = [
  ...STORM_FIGURES,
  ...['loops', 'offlines', 'nodeKept', 'swapoffs', 'swapKept', 'groups', 'groupsRefused'],
  ...['compacts', 'accesses', 'paceMissed'],
];
/** Pages at scale 1: that the storm inherits, of each file, of the controlling program. */
const STORM_PAGES = 96;
const FILE_PAGES = 64;
const CONTROL_PAGES = 32;
const FIRST_VPN = 1 << 16;
const FILES_VPN = 1 << 20;
const LOOPS = 20;
const DEPTH = 2;
const WIDTH = 3;
/** More than fits into the smallest two nodes. */
const SCALE = 5;
const SCALE_MAX = 64;
/** Memory of a program is no smaller, however small the scale. */
const PAGES_MIN = 16;

interface Shape {
  readonly parts: readonly ChurnPart[];
  readonly loops: number;
  readonly seconds: number;
  readonly pace: number;
  readonly scale: number;
  /** Generations of a tree of the storm, and children of each process. */
  readonly depth: number;
  readonly width: number;
  readonly dir: string | null;
}

function stormProcess(args: ChurnStormArgs, cpus: number): ProcessSpec {
  const { depth, width } = args;
  const end = FIRST_VPN + args.pages;
  return {
    comm: 'storm',
    cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
    program: { module: url('./churn_program.js'), export: 'churnStorm' },
    args,
    generator: true,
    vmas: [{ start: FIRST_VPN, end }],
    pageTables: vmaTables([{ start: FIRST_VPN, end: end + HEAP_PAGES }]),
    footprintPages: Math.ceil(args.pages * (1 + treeSize(depth, width) / 8)),
  };
}

function filesProcess(args: ChurnFilesArgs, cpu: number): ProcessSpec {
  const mapped = [{ start: args.first, end: args.first + MAPPED_PLACES * args.pages }];
  return {
    comm: 'files',
    cpus: [cpu],
    program: { module: url('./churn_files_program.js'), export: 'churnFiles' },
    args,
    vmas: [],
    pageTables: vmaTables(mapped) + 1,
    footprintPages: (args.dir === null ? 1 : 4) * args.pages,
  };
}

function controlProcess(args: ChurnArgs, cpu: number): ProcessSpec {
  return {
    comm: 'churn',
    cpus: [cpu],
    program: { module: url('./churn_program.js'), export: 'churnControl' },
    args,
    vmas: [{ start: args.first, end: args.first + args.pages }],
  };
}

/** @throws UsageError for a part that there is not */
function partsOf(text: string | null): ChurnPart[] {
  if (text === null) return [...CHURN_PARTS];
  const named = text.split(',').map((part) => part.trim());
  const parts = CHURN_PARTS.filter((part) => named.includes(part));
  if (parts.length === named.length) return parts;
  throw new UsageError(`--parts: '${text}' will not do; give some of ${CHURN_PARTS.join(',')}`);
}

function processes(shape: Shape, cpus: number, figures: Figures, seed: number) {
  const done = makeFigures(['over'], cpus);
  const { parts, loops, seconds, pace, scale, depth, width, dir } = shape;
  const scaled = (pages: number): number => Math.max(Math.round(pages * scale), PAGES_MIN);
  const storm = {
    ...{ prefix: '', first: FIRST_VPN, pages: scaled(STORM_PAGES) },
    ...{ width, depth },
    ...{ figures, done },
  };
  const files = { figures, done, dir, pages: scaled(FILE_PAGES), first: FILES_VPN, seed };
  const control = {
    ...{
      figures,
      done,
      parts,
      loops,
      seconds,
      pace,
      first: FIRST_VPN,
      pages: Math.min(scaled(CONTROL_PAGES), CONTROL_PAGES),
    },
    ...{ nid: 1, devices: ['/dev/zram0', '/swapfile1'] },
  };
  const programs = stormPrograms(storm);
  const specs = [stormProcess(storm, cpus - 2), filesProcess(files, cpus - 2)];
  return { programs, processes: [...specs, controlProcess(control, cpus - 1)] };
}

function swapDevices(specs: readonly ProcessSpec[]) {
  const pages = specs.reduce((sum, spec) => sum + (spec.footprintPages ?? 0), 0);
  return [
    { kind: 'zram' as const, sizePages: pages * 2, priority: 5 },
    { kind: 'file' as const, sizePages: pages * 3 },
  ];
}

/** What the report says of the options. */
function given({
  parts,
  loops,
  seconds,
  pace,
  scale,
  depth,
  width,
  dir,
}: Shape): Record<string, number | boolean> {
  const wanted = Object.fromEntries(parts.map((part) => [part, true]));
  return { loops, seconds, pace, scale, depth, width, hostFiles: dir !== null, ...wanted };
}

/** See the head of this file. */
export const churn: Scenario = {
  description:
    'a node, swap devices and groups that come and go under a load of processes and files',
  options: [
    {
      name: 'parts',
      value: '<list>',
      description: `what comes and goes (default: ${CHURN_PARTS.join()})`,
    },
    { name: 'loops', value: '<n>', description: `how often (default: ${LOOPS})` },
    { name: 'pace', value: '<n>', description: 'pages swapped out between loops (default: 0)' },
    {
      name: 'scale',
      value: '<n>',
      description: `memory and files, times so many (default: ${SCALE})`,
    },
    { name: 'depth', value: '<n>', description: `generations of processes (default: ${DEPTH})` },
    { name: 'width', value: '<n>', description: `children of each (default: ${WIDTH})` },
    { name: 'seconds', value: '<n>', description: 'loops for so long instead' },
    { name: 'dir', value: '<path>', description: 'directory of the host to use files in' },
  ],
  plan({ config, options, seed }) {
    const read = new OptionReader(options);
    const seconds = read.integer('seconds', 0, 0, 1e6);
    const shape: Shape = {
      parts: partsOf(read.text('parts')),
      loops: seconds > 0 ? 0 : read.integer('loops', LOOPS, 1, 1e6),
      seconds,
      pace: read.integer('pace', 0, 0, 1e6),
      scale: read.number('scale', SCALE, 1 / 64, SCALE_MAX),
      depth: read.integer('depth', DEPTH, 1, 3),
      width: read.integer('width', WIDTH, 1, 4),
      dir: read.text('dir'),
    };
    const cpus = Math.min(config.cpus ?? 4, CPUS_MAX);
    if (cpus < 3) throw new UsageError(`--cpus: ${cpus} will not do for churn; give at least 3`);
    const figures = makeFigures(FIGURES, cpus);
    const made = processes(shape, cpus, figures, seed);
    return {
      config: {
        ...{ memory: '70%', nodes: 2, movableNode: true, hostFiles: shape.dir !== null },
        ...{ swapDevices: swapDevices(made.processes), memcgsMax: 32 },
        tasksMax: treeSize(shape.depth, shape.width) + 16,
        ...config,
      },
      workload: { ...made, scenario: { name: 'churn', options: given(shape), figures } },
      progress: () => `${sumFigure(figures, 'loops')} loops, ${sumFigure(figures, 'rounds')} trees`,
    };
  },
};
