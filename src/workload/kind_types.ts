// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a kind of workload is: fields of a scenario file in, programs out. Several workloads run
 * side by side on one machine, each in a group of its own if its file says so: `init_program.ts`
 * starts the first process of each.
 */
import type * as v from 'valibot';
import type { MachineConfig } from '../config_schema.ts';
import type { Workload } from '../run_machine.ts';
import type { Size } from '../size.ts';
import type { Figures } from './figures.ts';
import type { Trace } from './trace.ts';
import type { ProcessSpec, ProgramSpec } from './workload.ts';

/** What a workload is planned for. */
export interface KindContext {
  /** Begins the names of its programs, since another workload may be of the same kind. */
  readonly prefix: string;
  /** Simulated CPUs that it may use. */
  readonly cpus: readonly number[];
  /** Memory that it may use, in pages: its group's limit, or the machine's memory. */
  readonly memoryPages: number;
  /** The scenario's scale; `memoryPages` follows it already. */
  readonly scale: number;
  /** Of the machine. */
  readonly seed: number;
  /** What it counts: the kind's figures and latencies, a row for each CPU of the machine. */
  readonly figures: Figures;
  /** A size of the file in pages: bytes times the scale, or a part of `memoryPages`. */
  pages(name: string, size: Size): number;
  /** @returns a path of the file, which is relative to the folder of the scenario file */
  path(path: string): string;
  /** @returns a folder of the host, empty, that is there while the machine runs */
  folder(): string;
  /** @returns a trace that the scenario file names, as `path` gives it */
  trace(path: string): Trace;
  /** @returns an error about a field, to throw: `FILE: workloads[0].NAME: REASON; HINT` */
  bad(name: string, reason: string, hint: string): Error;
}

/** What a workload needs of the machine. */
export interface KindPlan {
  /** Its first process: the name of one of `programs`, which gets `args` (1,024 bytes of JSON). */
  readonly root?: string;
  readonly args?: unknown;
  /** Its generator programs, their names beginning with the prefix. */
  readonly programs?: readonly ProgramSpec[];
  /** Processes of functions, which need `cpus` of their own; then there is no root. */
  readonly processes?: readonly ProcessSpec[];
  readonly traces?: Workload['traces'];
  /** Processes and threads that it has at once, the first included. */
  readonly tasks: number;
  /** Pages that it touches at once. */
  readonly footprintPages: number;
  /** Page tables and VMAs of all its processes at once. */
  readonly pageTables: number;
  readonly vmas: number;
  /** What the machine needs, where the user does not say it; of numbers the largest counts. */
  readonly config?: MachineConfig;
  /** How far it is, in a few words, at any time. */
  readonly progress?: () => string;
}

/** Values of fields, defaults filled in. */
export type FieldValues<F extends v.ObjectEntries> = v.InferOutput<
  v.StrictObjectSchema<F, undefined>
>;

/** A kind of workload. */
export interface WorkloadKind<F extends v.ObjectEntries = v.ObjectEntries> {
  readonly kind: string;
  /** A line. */
  readonly description: string;
  /** Fields of its own, made by kind_fields.ts. All but those of lists are command-line options. */
  readonly fields: F;
  /** What it counts, and what that means. `xNs` beside `x` makes a rate of it, `xPerSec`. */
  readonly figures: Readonly<Record<string, string>>;
  /** What it times, in ns: reported as `xP50Us`, `xP99Us` and `xMaxUs`. */
  readonly latencies?: Readonly<Record<string, string>>;
  /** CPUs that it has to itself, where its processes are no generators. Default: none. */
  readonly ownCpus?: (options: FieldValues<F>) => number;
  /** Paths of traces that are to be read before `plan`. */
  readonly traces?: (options: FieldValues<F>) => readonly string[];
  /** @throws UsageError, from `context.bad`, for fields that do not go together */
  plan(context: KindContext, options: FieldValues<F>): KindPlan;
}

/** A kind whatever its fields. */
export type AnyKind = WorkloadKind<v.ObjectEntries>;

/** Keeps the types of the fields for `plan`. */
export function defineKind<F extends v.ObjectEntries>(kind: WorkloadKind<F>): AnyKind {
  return kind as unknown as AnyKind;
}
