// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenario mount-loop: the load under which the SRCU version of shrinkers collapsed. Some CPUs
 * mount a tmpfs, make a file, unmount, again and again; the others keep reclaim busy over more
 * memory than there is. Every mount allocates and registers a shrinker, every unmount frees it.
 */
import type { ModuleRef } from '../mm/config.ts';
import { CPUS_MAX } from '../mm/limits.ts';
import { type Figures, makeFigures, sumFigure } from './figures.ts';
import type { MountLoopArgs, ReclaimLoopArgs } from './mount_loop_program.ts';
import { checkRoom, OptionReader, type Scenario } from './scenario_types.ts';
import type { ProcessSpec } from './workload.ts';

const program = (name: string): ModuleRef => ({
  module: new URL('./mount_loop_program.js', import.meta.url).href,
  export: name,
});
const FIGURES = ['loops', 'loopsNs', 'refused', 'rounds'];
/** Pages of each reclaimer, and where they are mapped. */
const PAGES = 4096;
const FIRST_VPN = 1 << 16;
/** Rows for shrinkers, mounts and objects that wait for their grace period. */
const SPARE_ROWS = 4096;

function looper(cpu: number, args: MountLoopArgs): ProcessSpec {
  const footprintPages = 16;
  const spec = { comm: `mount${cpu}`, cpus: [cpu], program: program('mountLoop'), args };
  return { ...spec, vmas: [], footprintPages };
}

function reclaimer(cpu: number, args: ReclaimLoopArgs): ProcessSpec {
  const vmas = [{ start: args.first, end: args.first + args.pages }];
  return { comm: `reclaim${cpu}`, cpus: [cpu], program: program('reclaimLoop'), args, vmas };
}

function processes(loops: number, mounts: number, loopers: number, figures: Figures) {
  const cpus = figures.cells.length / figures.stride;
  const done = makeFigures(['loopers'], cpus);
  return Array.from({ length: cpus }, (_, cpu) =>
    cpu < loopers
      ? looper(cpu, { loops, mounts: cpu === 0 ? mounts : 0, figures, done })
      : reclaimer(cpu, { first: FIRST_VPN, pages: PAGES, loopers, figures, done }),
  );
}

/** See the head of this file. */
export const mountLoop: Scenario = {
  description: 'CPUs that mount and unmount a tmpfs again and again, while others reclaim',
  options: [
    { name: 'loops', value: '<n>', description: 'mounts and unmounts of each (default: 1000)' },
    { name: 'loopers', value: '<n>', description: 'CPUs that do it (default: half of them)' },
    { name: 'mounts', value: '<n>', description: 'mounts that stay meanwhile (default: 16)' },
  ],
  remarks: ['The default shows that it runs; to measure, warm code needs --loops 20000 or more.'],
  plan({ config, options }) {
    const read = new OptionReader(options);
    const cpus = Math.min(config.cpus ?? 2, CPUS_MAX);
    const loops = read.integer('loops', 1000, 1, 1e9);
    const loopers = read.integer('loopers', Math.ceil(cpus / 2), 1, cpus);
    const mounts = read.integer('mounts', 16, 0, 1 << 15);
    const most = mounts + loopers;
    checkRoom(config, { shrinkersMax: most + 1, mountsMax: most });
    const figures = makeFigures(FIGURES, cpus);
    const rows = mounts + SPARE_ROWS;
    return {
      config: {
        memory: '50%',
        shrinkersMax: rows,
        mountsMax: rows,
        dentriesMax: 4 * rows,
        inodesMax: 4 * rows,
        ...config,
      },
      workload: {
        processes: processes(loops, mounts, loopers, figures),
        scenario: { name: 'mount-loop', options: { loops, loopers, mounts }, figures },
      },
      progress: () => `${sumFigure(figures, 'loops')} of ${loops * loopers} loops`,
    };
  },
};
