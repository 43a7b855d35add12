// SPDX-License-Identifier: GPL-2.0-only
/** The threads of a machine as a report shows them: comm, state, CPU time, wake-ups. */
import { readFileSync } from 'node:fs';
import type { Engine } from '../kthreads/engine.ts';
import { describeWait } from '../kthreads/held_report.ts';
import { threadEnded } from '../kthreads/kthread.ts';
import { getComm, THREAD_BLOCKED, THREAD_SLEEPING } from '../shared/thread.ts';

/** THREAD_* as words. */
const STATE_NAMES = [
  'unused',
  'new',
  'running',
  'sleeping',
  'blocked',
  'parked',
  'exited',
  'dead',
] as const;

export interface ThreadInfo {
  readonly id: number;
  readonly comm: string;
  readonly state: (typeof STATE_NAMES)[number];
  /** What it waits for while it sleeps, else an empty string. */
  readonly waitsOn: string;
  /** CPU time in ms since its function began, null where the system does not tell. */
  readonly cpuMs: number | null;
  readonly wakeups: number;
}

/**
 * @param count threads of the machine, ids 1 .. count
 * @context the main thread, at any time
 */
export function readThreads(engine: Engine, count: number): ThreadInfo[] {
  const { threads } = engine.sync;
  const infos: ThreadInfo[] = [];
  for (let id = 1; id <= count; id++) {
    const state = Atomics.load(threads.state, id);
    const asleep = state === THREAD_SLEEPING || state === THREAD_BLOCKED;
    infos.push({
      id,
      comm: getComm(threads, id),
      state: STATE_NAMES[state] ?? 'unused',
      waitsOn: asleep ? describeWait(engine, id) : '',
      cpuMs: readCpuMs(engine, id),
      wakeups: Atomics.load(threads.wakeups, id),
    });
  }
  return infos;
}

function readCpuMs(engine: Engine, id: number): number | null {
  if (threadEnded(engine, id)) {
    const us = engine.tasks.cpuUs[id] as number;
    return us > 0 ? us / 1e3 : null;
  }
  const tid = Atomics.load(engine.sync.threads.osTid, id);
  if (tid === 0) return null;
  try {
    const text = readFileSync(`/proc/self/task/${tid}/schedstat`, 'utf8');
    const bootUs = -Math.min(engine.tasks.cpuUs[id] as number, 0);
    return Math.max(Number(text.split(' ')[0]) / 1e6 - bootUs / 1e3, 0);
  } catch {
    return null;
  }
}
