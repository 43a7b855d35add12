// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload trace: replays trace files, each in a process and on a CPU of its own; or one of them on
 * several CPUs that share its address space.
 */
import * as v from 'valibot';
import { CPUS_MAX } from '../mm/limits.ts';
import { field, integer, text } from './kind_fields.ts';
import { defineKind } from './kind_types.ts';
import { type ProcessSpec, replayProcesses } from './workload.ts';

const FILES = v.pipe(v.array(text, 'give a list of files'), v.minLength(1, 'give a file'));

/** See the head of this file. */
export const traceKind = defineKind({
  kind: 'trace',
  description: 'replays trace files, on CPUs that it has to itself',
  fields: {
    files: v.pipe(FILES, v.description('traces, by paths from the folder of the scenario file')),
    threads: field(integer(1, CPUS_MAX), 'CPUs that replay one file in one address space', 1),
  },
  figures: {},
  ownCpus: ({ files, threads }) => Math.max(threads, files.length),
  traces: ({ files }) => files,
  plan(context, { files, threads }) {
    const { cpus } = context;
    if (threads > 1 && files.length > 1) {
      throw context.bad('threads', 'several are for one file', 'give one file, or one thread');
    }
    const traces = files.map((file) => context.trace(file));
    const replayers = replayProcesses(traces, cpus.length, threads > 1);
    // They are numbered from 0: each gets the CPUs that are the workload's.
    const processes = replayers.map(
      (spec): ProcessSpec => ({ ...spec, cpus: spec.cpus.map((at) => cpus[at] as number) }),
    );
    return { processes, traces, tasks: 0, footprintPages: 0, pageTables: 0, vmas: 0 };
  },
});
