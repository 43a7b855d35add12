// SPDX-License-Identifier: GPL-2.0-only
/** The programs of scenario mount-loop: one mounts and unmounts, one keeps reclaim busy. */
import type { Process } from '../../kthreads/process.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { addFigure, type Figures, sumFigure } from './figures.ts';

export interface MountLoopArgs {
  readonly loops: number;
  /** Mounts to make first, that stay until the loops are done. */
  readonly mounts: number;
  readonly figures: Figures;
  /** `loopers` that have done all their loops. */
  readonly done: Figures;
}

export interface ReclaimLoopArgs {
  /** The program's memory, in pages. */
  readonly first: number;
  readonly pages: number;
  /** How many CPUs are in the loop: the others go on until those are done. */
  readonly loopers: number;
  readonly figures: Figures;
  readonly done: Figures;
}

const FILE_NAME = 1;
/** Pages written between two looks at who is done. */
const ROUND = 256;

/** Mounts, makes a file, unmounts. @returns false when something was refused */
function loopOnce({ files }: Process, name: string): boolean {
  const mount = files.mount('tmpfs', name);
  if (mount < 0) return false;
  const file = files.open(mount, FILE_NAME, true);
  if (file > 0) files.close(file);
  return files.umount(mount) === 0 && file > 0;
}

/** @returns RUN_* @context a simulated CPU */
export function mountLoop(process: Process, args: MountLoopArgs): number {
  const { figures, done } = args;
  const { cpu } = process;
  const kept = Array.from({ length: args.mounts }, (_, i) =>
    process.files.mount('tmpfs', `kept${i}`),
  );
  // The others have filled the memory by then.
  process.barrier();
  for (let i = 0; i < args.loops && process.ended === 0; i++) {
    const began = ktimeNs();
    const held = loopOnce(process, `loop${cpu}`);
    addFigure(figures, cpu, 'loopsNs', ktimeNs() - began);
    addFigure(figures, cpu, held ? 'loops' : 'refused', 1);
  }
  addFigure(done, cpu, 'loopers', 1);
  for (const mount of kept) if (mount > 0) process.files.umount(mount);
  return process.ended;
}

/** Writes pages `from` to `to`, again from the first after the last. @returns RUN_* */
function writePages(process: Process, args: ReclaimLoopArgs, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    const result = process.store(args.first + (at % args.pages));
    if (result !== 0) return result;
  }
  return 0;
}

/** @returns RUN_* @context a simulated CPU */
export function reclaimLoop(process: Process, args: ReclaimLoopArgs): number {
  const { pages, loopers, figures, done } = args;
  let result = writePages(process, args, 0, pages) || process.barrier();
  for (let at = 0; result === 0 && sumFigure(done, 'loopers') < loopers; at += ROUND) {
    result = writePages(process, args, at, at + ROUND);
    addFigure(figures, process.cpu, 'rounds', 1);
  }
  return result;
}
