// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenario memcg-tmpfs, after the script of seed 004: groups below a limited one, a tmpfs mounted
 * for each, and files of a given size written in some of them, from within their groups.
 *
 *   the script                                  here
 *   4,001 groups, 4 GiB for all of them         --memcgs, --memcg-max (default: 133 % of the files)
 *   a tmpfs each                                --mounts
 *   1 MiB written in 3,001 of them, at once     --touch, --file-size, a process on every CPU
 *
 * Every CPU makes its share; all have made theirs before the first page is written. At the end the
 * program unmounts and removes what it made, or, with --leave, leaves that to the machine's end.
 */
import type { ModuleRef } from '../mm/config.ts';
import { CPUS_MAX, MEMCGS_MAX } from '../mm/limits.ts';
import { type Figures, makeFigures, sumFigure } from './figures.ts';
import type { MemcgTmpfsArgs } from './memcg_tmpfs_program.ts';
import { OptionReader, type Scenario } from './scenario_types.ts';
import type { ProcessSpec } from './workload.ts';

const PROGRAM: ModuleRef = {
  module: new URL('./memcg_tmpfs_program.js', import.meta.url).href,
  export: 'memcgTmpfs',
};
const FIGURES = [
  ...['groups', 'groupsNs', 'mounts', 'mountsNs', 'files', 'pages', 'pagesNs'],
  ...['umounts', 'umountsNs', 'rmdirs', 'rmdirsNs', 'refused'],
];
/** Groups that dying ones, the root and the programs' own need beside those asked for. */
const SPARE_GROUPS = 64;
const SPARE_SHRINKERS = 64;
/** Most of a count: shrinkers of the mounts need rows too. */
const COUNT_MAX = MEMCGS_MAX - SPARE_GROUPS;
const FILE_PAGES = 256;
const FILE_PAGES_MAX = 1 << 18;

interface Shape {
  readonly memcgs: number;
  readonly mounts: number;
  readonly touch: number;
  readonly filePages: number;
  readonly leave: boolean;
}

function processes(shape: Shape, figures: Figures, cpus: number): ProcessSpec[] {
  return Array.from({ length: cpus }, (_, cpu) => {
    const args: MemcgTmpfsArgs = { ...shape, figures, first: cpu, stride: cpus };
    const files = Math.ceil(Math.max(shape.touch - cpu, 0) / cpus);
    return {
      comm: `touch${cpu}`,
      cpus: [cpu],
      program: PROGRAM,
      args,
      vmas: [],
      footprintPages: files * shape.filePages,
    };
  });
}

function progress(shape: Shape, figures: Figures): string {
  const steps = [
    ['groups', shape.memcgs],
    ['mounts', shape.mounts],
    ['files', shape.touch],
    ['umounts', shape.mounts],
    ['rmdirs', shape.memcgs],
  ] as const;
  const at = steps.find(([name, total]) => sumFigure(figures, name) < total) ?? steps[2];
  return `${sumFigure(figures, at[0])} of ${at[1]} ${at[0]}`;
}

/** See the head of this file. */
export const memcgTmpfs: Scenario = {
  description: 'groups below a limited one, a tmpfs each, files written in some of them',
  options: [
    { name: 'memcgs', value: '<n>', description: 'groups (default: 200)' },
    { name: 'mounts', value: '<n>', description: 'mounts (default: one for each group)' },
    { name: 'touch', value: '<n>', description: 'mounts with a file (default: 3/4 of them)' },
    { name: 'fileSize', value: '<size>', description: 'size of a file (default: 1M)' },
    { name: 'leave', value: '', description: 'leave mounts and groups to the end of the machine' },
  ],
  plan({ config, options }) {
    const read = new OptionReader(options);
    const memcgs = read.integer('memcgs', 200, 1, COUNT_MAX);
    const mounts = read.integer('mounts', memcgs, 1, COUNT_MAX);
    const touch = read.integer('touch', Math.ceil((mounts * 3) / 4), 0, mounts);
    const filePages = read.pages('fileSize', FILE_PAGES, FILE_PAGES_MAX);
    const shape = { memcgs, mounts, touch, filePages, leave: read.flag('leave') };
    const cpus = Math.min(config.cpus ?? 2, CPUS_MAX);
    const figures = makeFigures(FIGURES, cpus);
    const objects = 2 * mounts + 2 * touch + 1024;
    return {
      config: {
        memory: '50%',
        memcgMax: '133%',
        swapSize: '100%',
        memcgsMax: memcgs + SPARE_GROUPS,
        shrinkersMax: mounts + SPARE_SHRINKERS,
        mountsMax: mounts + SPARE_SHRINKERS,
        dentriesMax: objects,
        inodesMax: objects,
        filePagesMax: touch * filePages,
        ...config,
      },
      workload: {
        processes: processes(shape, figures, cpus),
        scenario: { name: 'memcg-tmpfs', options: shape, figures },
      },
      progress: () => progress(shape, figures),
    };
  },
};
