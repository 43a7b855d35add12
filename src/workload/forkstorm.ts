// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenario forkstorm: many more processes than CPUs. One process fills its memory and forks a tree
 * of processes, again and again; everybody writes some of what it has inherited, so that it is
 * copied, while there is not memory enough for all copies. Some sleep, some are killed, some make
 * threads.
 */
import { CPUS_MAX, TASKS_MAX } from '../mm/limits.ts';
import { type Figures, makeFigures, sumFigure } from './figures.ts';
import { HEAP_PAGES, type RootArgs, type StormShape } from './forkstorm_program.ts';
import { OptionReader, type Scenario } from './scenario_types.ts';
import { type ProcessSpec, type ProgramSpec, vmaTables } from './workload.ts';

const module = new URL('./forkstorm_program.js', import.meta.url).href;
const FIGURES = ['rounds', 'forks', 'threads', 'kills', 'reaped', 'refused', 'pages'];
/** Memory that is inherited, at scale 1, and where it is mapped. */
const PAGES = 128;
const FIRST_VPN = 1 << 16;
const ROUNDS = 8;
const SCALE_MAX = 64;
const DEPTH_MAX = 8;
const WIDTH_MAX = 64;

/** Processes below the first one. */
function treeSize(depth: number, width: number): number {
  let size = 0;
  for (let generation = width, i = 0; i < depth; i++, generation *= width) size += generation;
  return size;
}

function rootProcess(args: RootArgs, cpus: number, tree: number): ProcessSpec {
  const vmas = [{ start: FIRST_VPN, end: FIRST_VPN + args.pages }];
  return {
    comm: 'forkstorm',
    cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
    program: { module, export: 'stormRoot' },
    args,
    generator: true,
    vmas,
    pageTables: vmaTables([{ start: FIRST_VPN, end: FIRST_VPN + args.pages + HEAP_PAGES }]),
    // About a quarter of a tree lives at once, and each copies about half of what it inherits.
    footprintPages: Math.ceil(args.pages * (1 + tree / 8)),
  };
}

function programs(shape: StormShape): ProgramSpec[] {
  return [
    { name: 'storm', module, export: 'storm', shared: shape },
    { name: 'storm-thread', module, export: 'stormThread', shared: shape },
  ];
}

function progress(figures: Figures): string {
  const forks = sumFigure(figures, 'forks') + sumFigure(figures, 'threads');
  return `${forks} forks, ${sumFigure(figures, 'rounds')} trees`;
}

/** See the head of this file. */
export const forkstorm: Scenario = {
  description: 'trees of forked processes that copy what they inherit, on few CPUs',
  options: [
    { name: 'depth', value: '<n>', description: 'generations of processes (default: 3)' },
    { name: 'width', value: '<n>', description: 'children of each process (default: 3)' },
    { name: 'scale', value: '<n>', description: 'memory and trees, times so many (default: 1)' },
    { name: 'seconds', value: '<n>', description: 'trees for so long (default: 8 trees)' },
  ],
  plan({ config, options }) {
    const read = new OptionReader(options);
    const depth = read.integer('depth', 3, 0, DEPTH_MAX);
    const width = read.integer('width', 3, 1, WIDTH_MAX);
    const scale = read.integer('scale', 1, 1, SCALE_MAX);
    const seconds = read.integer('seconds', 0, 0, 1e6);
    const cpus = Math.min(config.cpus ?? 2, CPUS_MAX);
    const figures = makeFigures(FIGURES, cpus);
    const rounds = seconds > 0 ? 0 : ROUNDS * scale;
    const shape: StormShape = { first: FIRST_VPN, pages: PAGES * scale, width, figures };
    const tree = treeSize(depth, width);
    const root = rootProcess({ ...shape, depth, rounds, seconds }, cpus, tree);
    return {
      config: {
        memory: '50%',
        swapSize: '400%',
        tasksMax: Math.min(tree + 16, TASKS_MAX),
        ...config,
      },
      workload: {
        processes: [root],
        programs: programs(shape),
        scenario: { name: 'forkstorm', options: { depth, width, scale, seconds }, figures },
      },
      progress: () => progress(figures),
    };
  },
};
