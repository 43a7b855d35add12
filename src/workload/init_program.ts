// SPDX-License-Identifier: GPL-2.0-only
/**
 * The first process of a machine that runs a scenario file: starts the first process of each
 * workload, in its group and on its CPUs, and waits until all have ended.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { EAGAIN, ENOMEM } from '../mm/errno.ts';

/** A workload as init starts it. */
export interface InitWorkload {
  /** Name of its program. */
  readonly program: string;
  /** At most 1,024 bytes of JSON. */
  readonly args: unknown;
  readonly cpus: readonly number[];
  /** Its group; null for where init is. */
  readonly group: string | null;
}

export interface InitArgs {
  readonly workloads: readonly InitWorkload[];
}

/** Between two tries to start a process that there was no room for. */
const RETRY_MS = 1;

function* start(proc: Proc, { program, args, cpus, group }: InitWorkload): ProcCall<void> {
  const { cgroups } = proc;
  const home = cgroups.current;
  const memcg = group === null ? home : cgroups.named(group);
  if (cgroups.attach(memcg) < 0) throw new Error(`init cannot enter group ${group}`);
  for (;;) {
    const pid = proc.spawn(program, args, { cpus });
    if (pid > 0) break;
    if (pid !== EAGAIN && pid !== ENOMEM) throw new Error(`init cannot start ${program}: ${pid}`);
    yield* proc.sleep(RETRY_MS);
  }
  cgroups.attach(home);
}

/** The program of init. @context a generator program */
export function* init(proc: Proc, { workloads }: InitArgs): ProcCall<number> {
  for (const workload of workloads) {
    yield* start(proc, workload);
    yield;
  }
  while (typeof (yield* proc.wait()) !== 'number');
  return 0;
}
