// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload forkstorm: many more processes than CPUs. One process fills its memory and forks a tree
 * of processes, again and again; everybody writes some of what it has inherited, so that it is
 * copied, while there is not memory enough for all copies. Some sleep, some are killed, some make
 * threads.
 */
import { sumFigure } from './figures.ts';
import { HEAP_PAGES, type RootArgs, type StormShape } from './forkstorm_program.ts';
import { field, integer, open, seconds, size } from './kind_fields.ts';
import { defineKind } from './kind_types.ts';
import { type ProgramSpec, vmaTables } from './workload.ts';

const module = new URL('./forkstorm_program.js', import.meta.url).href;
/** What its programs count. */
const FIGURES = {
  rounds: 'trees that have grown and gone',
  forks: 'processes',
  threads: 'threads',
  kills: 'children that were killed by their parents',
  reaped: 'children that were waited for',
  refused: 'forks and mappings that failed',
  pages: 'pages that were touched',
};
export const STORM_FIGURES = Object.keys(FIGURES);
const FIRST_VPN = 1 << 16;
const DEPTH_MAX = 8;
const WIDTH_MAX = 64;
/** Memory that trees ask for at once, where nothing says what is inherited: times what there is. */
const OVERCOMMIT = 2;
/** VMAs of a process that has split what it inherited. */
const VMAS = 8;

/** Processes below the first one. */
export function treeSize(depth: number, width: number): number {
  let size = 0;
  for (let generation = width, i = 0; i < depth; i++, generation *= width) size += generation;
  return size;
}

/** Pages that a tree has at once, for each page that is inherited. */
function copies(tree: number): number {
  // About a quarter of a tree lives at once, and each copies about half of what it inherits.
  return 1 + tree / 8;
}

/** What a process of the storm can fork. */
export function stormPrograms(shape: StormShape): ProgramSpec[] {
  const { prefix } = shape;
  return [
    { name: `${prefix}storm`, module, export: 'storm', shared: shape },
    { name: `${prefix}thread`, module, export: 'stormThread', shared: shape },
  ];
}

/** See the head of this file. */
export const forkstorm = defineKind({
  kind: 'forkstorm',
  description: 'trees of forked processes that copy what they inherit, on few CPUs',
  fields: {
    depth: field(integer(0, DEPTH_MAX), 'generations of processes', 3),
    width: field(integer(1, WIDTH_MAX), 'children of each process', 3),
    inherit: open(size, 'memory of the first process (default: trees ask for twice the memory)'),
    rounds: field(integer(1, 1e9), 'trees to grow', 8),
    seconds,
  },
  figures: FIGURES,
  plan(context, options) {
    const { prefix, figures, memoryPages } = context;
    const { depth, width, inherit, seconds = 0 } = options;
    const tree = treeSize(depth, width);
    const fitting = Math.max(1, Math.floor((OVERCOMMIT * memoryPages) / copies(tree)));
    const pages = inherit === undefined ? fitting : context.pages('inherit', inherit);
    const rounds = seconds > 0 ? 0 : options.rounds;
    const first = FIRST_VPN;
    const shape: RootArgs = { prefix, first, pages, width, figures, depth, rounds, seconds };
    const range = { start: first, end: first + pages + HEAP_PAGES };
    return {
      root: `${prefix}root`,
      programs: [
        { name: `${prefix}root`, module, export: 'stormRoot', shared: shape },
        ...stormPrograms(shape),
      ],
      tasks: tree + 1,
      footprintPages: Math.ceil(pages * copies(tree)),
      pageTables: vmaTables([range]) * (tree + 1),
      vmas: VMAS * (tree + 1),
      progress: () => {
        const forks = sumFigure(figures, 'forks') + sumFigure(figures, 'threads');
        return `${forks} forks, ${sumFigure(figures, 'rounds')} trees`;
      },
    };
  },
});
