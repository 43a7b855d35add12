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

import { UsageError } from '../errors.ts';
import type { ModuleRef } from '../mm/config.ts';
import { CPUS_MAX, MEMCGS_MAX, PAGE_SIZE, PFN_MAX } from '../mm/limits.ts';
import { formatBytes } from '../size.ts';
import { type Figures, makeFigures, sumFigure } from './figures.ts';
import type { MemcgTmpfsArgs } from './memcg_tmpfs_program.ts';
import { checkRoom, OptionReader, type Scenario } from './scenario_types.ts';
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
/** Groups that are there at boot: the root, and the one of the programs. */
const BOOT_GROUPS = 2;
/** Shrinkers that are there at boot: that of shadows. */
const BOOT_SHRINKERS = 1;
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

/** All files have room in the swap device, unless the user chose its size. @throws UsageError */
function checkFiles(touch: number, filePages: number): void {
  if (touch * filePages < PFN_MAX) return;
  const bytes = formatBytes(touch * filePages * PAGE_SIZE);
  const most = formatBytes((PFN_MAX - 1) * PAGE_SIZE);
  const file = formatBytes(filePages * PAGE_SIZE);
  throw new UsageError(
    `--touch, --file-size: ${touch} files of ${file} are ${bytes}, and ${most} is the most; ` +
      'give less of one of them',
  );
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
  remarks: [
    'A tmpfs pins its dentries: shrinkers are walked and counted, and hardly anything is scanned.',
    'At the default sizes the node runs short, and the limit, 133 % of the files, is not reached;',
    'for reclaim of the group say --memcg-max 50%: the node then has room.',
  ],
  plan({ config, options }) {
    const read = new OptionReader(options);
    const memcgs = read.integer('memcgs', 200, 1, COUNT_MAX);
    const mounts = read.integer('mounts', memcgs, 1, COUNT_MAX);
    const touch = read.integer('touch', Math.ceil((mounts * 3) / 4), 0, mounts);
    const filePages = read.pages('fileSize', FILE_PAGES, FILE_PAGES_MAX);
    const shape = { memcgs, mounts, touch, filePages, leave: read.flag('leave') };
    const cpus = Math.min(config.cpus ?? 2, CPUS_MAX);
    checkRoom(config, {
      memcgsMax: memcgs + BOOT_GROUPS,
      shrinkersMax: mounts + BOOT_SHRINKERS,
      mountsMax: mounts,
    });
    if (config.swapSize === undefined) checkFiles(touch, filePages);
    const figures = makeFigures(FIGURES, cpus);
    const objects = 2 * mounts + 2 * touch + 1024;
    return {
      config: {
        // Who limits the group wants it to be short of memory, not the node.
        memory: (config.memcgMax ?? null) === null ? '50%' : '200%',
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
