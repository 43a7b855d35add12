// SPDX-License-Identifier: GPL-2.0-only
/**
 * The programs of scenario churn: one takes parts of the machine away and gives them back, in a
 * loop, through the files that an administrator would use; a storm of processes and a user of files
 * go on as if nothing was the matter until that one is done.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import type { Process } from '../../kthreads/process.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { EBUSY, EINTR, EINVAL, ENOENT, ENOMEM, ENOSPC } from '../mm/errno.ts';
import { addFigure, type Figures, sumFigure } from './figures.ts';
import { grow, readBack, type StormShape } from './forkstorm_program.ts';

/** What may come and go. */
export const CHURN_PARTS = ['node', 'swap', 'cgroup', 'compact'] as const;
export type ChurnPart = (typeof CHURN_PARTS)[number];

/** Between two looks at how much was swapped out, and longest wait for it, in ms. */
const PACE_MS = 10;
const PACE_MS_MAX = 2000;

export interface ChurnArgs {
  readonly figures: Figures;
  /** `over` is more than 0 when the controlling program has ended. */
  readonly done: Figures;
  readonly parts: readonly ChurnPart[];
  /** Loops of the controlling program; 0 for as many as the seconds allow. */
  readonly loops: number;
  readonly seconds: number;
  /** Pages that are swapped out between two loops. */
  readonly pace: number;
  /** First page of its own memory, and how many. */
  readonly first: number;
  readonly pages: number;
  /** The last node, and the swap devices, which it takes away. */
  readonly nid: number;
  readonly devices: readonly string[];
}

export interface ChurnStormArgs extends StormShape {
  readonly depth: number;
  readonly done: Figures;
}

/** The first process of the storm: trees until the others are done. @context a generator program */
export function* churnStorm(proc: Proc, args: ChurnStormArgs): ProcCall<number> {
  proc.touch(args.first, args.pages, true);
  while (sumFigure(args.done, 'over') === 0) {
    yield* grow(proc, args, { depth: args.depth, untilMs: 0 });
    yield* readBack(proc, args);
    addFigure(args.figures, proc.cpu, 'rounds', 1);
    yield;
  }
  return 0;
}

function count({ figures }: ChurnArgs, { cpu }: Process, name: string): void {
  addFigure(figures, cpu, name, 1);
}

/** Stores to its pages, so that what was taken away is missed. @returns RUN_* */
function touchAll(process: Process, args: ChurnArgs): number {
  for (let i = 0; i < args.pages; i++) {
    const result = process.store(args.first + i);
    if (result !== 0) return result;
  }
  return 0;
}

/** What a call may say when the machine has not enough, or somebody is in the way. */
function expectOne(what: string, result: number, allowed: readonly number[]): void {
  if (result !== 0 && !allowed.includes(result)) throw new Error(`${what}: ${result}`);
}

/** A node goes offline and comes back. @returns RUN_* */
function churnNode(process: Process, args: ChurnArgs): number {
  const file = `/sys/devices/system/node/node${args.nid}/state`;
  const offline = process.writeFile(file, 'offline');
  expectOne('offline', offline, [EBUSY, ENOMEM, EINTR]);
  count(args, process, offline === 0 ? 'offlines' : 'nodeKept');
  const state = process.readFile(file);
  const expected = offline === 0 ? 'offline\n' : 'online\n';
  if (state !== expected) throw new Error(`${file} is ${state}, not ${expected}`);
  const result = touchAll(process, args);
  // Also when it is killed: whoever goes leaves the node as it was.
  expectOne('online', process.writeFile(file, 'online'), []);
  return result;
}

/** A swap device goes and comes back. @returns RUN_* */
function churnSwap(process: Process, args: ChurnArgs, loop: number): number {
  const device = args.devices[loop % args.devices.length] as string;
  const off = process.swapoff(device);
  expectOne(`swapoff ${device}`, off, [EBUSY, ENOMEM, EINTR, EINVAL]);
  count(args, process, off === 0 ? 'swapoffs' : 'swapKept');
  const result = touchAll(process, args);
  if (off === 0) expectOne(`swapon ${device}`, process.swapon(device), []);
  return result;
}

/** Groups below one another are made, joined, used, left and removed. @returns RUN_* */
function churnGroups(process: Process, args: ChurnArgs, loop: number): number {
  const home = process.cgroups.current;
  const groups: number[] = [];
  let result = 0;
  for (let level = 0; level < 3 && result === 0; level++) {
    const group = process.cgroups.mkdir(groups.at(-1) ?? 0, `churn-${loop}-${level}`, -1);
    if (group < 0) {
      // Groups that were removed keep their rows until their pages have gone.
      expectOne('mkdir', group, [ENOSPC, ENOMEM]);
      count(args, process, 'groupsRefused');
      result = touchAll(process, args);
      break;
    }
    groups.push(group);
    expectOne('attach', process.cgroups.attach(group), []);
    result = touchAll(process, args);
  }
  expectOne('attach home', process.cgroups.attach(home), []);
  for (const group of groups.reverse()) expectOne('rmdir', process.cgroups.rmdir(group), []);
  if (groups.length > 0) count(args, process, 'groups');
  return result;
}

/** All of memory is compacted. @returns RUN_* */
function churnMemory(process: Process, args: ChurnArgs): number {
  expectOne('compact', process.writeFile('/proc/sys/vm/compact_memory', '1'), [EINTR]);
  count(args, process, 'compacts');
  return touchAll(process, args);
}

function churnOne(process: Process, args: ChurnArgs, part: ChurnPart, loop: number): number {
  if (part === 'node') return churnNode(process, args);
  if (part === 'compact') return churnMemory(process, args);
  return part === 'swap' ? churnSwap(process, args, loop) : churnGroups(process, args, loop);
}

/** @returns pages that have gone to a device or to zswap, or that were zeroes */
function swappedOut(process: Process): number {
  const text = `${process.readFile('/proc/vmstat')}`;
  let pages = 0;
  for (const [, count] of text.matchAll(/^(?:pswpout|zswpout|swpout_zero) (\d+)$/gm)) {
    pages += Number(count);
  }
  return pages;
}

/** Waits until reclaim is under way, if it comes to that in a while. @returns RUN_* */
function awaitPace(process: Process, args: ChurnArgs): number {
  const { pace } = args;
  if (pace === 0) return process.ended;
  const until = swappedOut(process) + pace;
  let result = process.ended;
  for (let ms = 0; result === 0 && ms < PACE_MS_MAX; ms += PACE_MS) {
    if (swappedOut(process) >= until) return result;
    result = process.sleep(PACE_MS);
  }
  count(args, process, 'paceMissed');
  return result;
}

/** The controlling program. @returns RUN_* @context a simulated CPU */
export function churnControl(process: Process, args: ChurnArgs): number {
  const until = ktimeNs() + args.seconds * 1e9;
  let result = touchAll(process, args);
  for (let loop = 0; result === 0 && process.ended === 0; loop++) {
    if (args.loops > 0 ? loop >= args.loops : ktimeNs() >= until) break;
    result = awaitPace(process, args);
    if (result !== 0) break;
    for (const part of args.parts) {
      result = churnOne(process, args, part, loop);
      if (result !== 0 || process.ended !== 0) break;
    }
    count(args, process, 'loops');
  }
  // Whoever reads a file of a group that is gone finds none.
  const gone = process.readFile('/sys/fs/cgroup/churn-0-0/memory.current');
  if (args.parts.includes('cgroup') && process.ended === 0 && gone !== ENOENT) {
    throw new Error(`a removed group has files: ${gone}`);
  }
  addFigure(args.done, process.cpu, 'over', 1);
  return result || process.ended;
}
