// SPDX-License-Identifier: GPL-2.0-only
/** The program that replays a decoded trace: CPU k of N takes events k, k + N, ... */
import type { Process } from '../../kthreads/process.ts';

export interface ReplayArgs {
  readonly events: Uint32Array;
  readonly regions: Float64Array;
}

/** @returns RUN_* @context a simulated CPU */
export function replay(process: Process, args: ReplayArgs): number {
  return process.replay(args.events, args.regions, process.cpuIndex, process.cpus);
}
