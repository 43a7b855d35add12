// SPDX-License-Identifier: GPL-2.0-only
/**
 * Binds a thread to one CPU. The threads of a schedule take turns: on one CPU the baton goes from
 * one to the next at the cost of a switch, while across CPUs each turn wakes an idle one first,
 * which takes several times as long.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** @param list such as `0-3,8` @returns its numbers @see Cpus_allowed_list of /proc/PID/status */
export function cpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** CPUs that the calling thread may run on; empty where the system does not tell. */
function allowedCpus(): number[] {
  const status = readFileSync('/proc/thread-self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  return list === undefined ? [] : cpuList(list);
}

/**
 * Binds the calling thread, and the threads that it starts from now on, to one of the CPUs that it
 * may run on.
 * @param slot any integer above 0: threads of neighbouring slots have different CPUs
 * @returns the CPU, -1 where that cannot be done: no Linux, no `taskset`, one CPU
 */
export function pinThread(slot: number): number {
  try {
    const cpus = allowedCpus();
    if (cpus.length < 2) return -1;
    const cpu = cpus[slot % cpus.length] as number;
    const thread = readlinkSync('/proc/thread-self').split('/').pop() as string;
    const made = spawnSync('taskset', ['-p', '-c', `${cpu}`, thread], { stdio: 'ignore' });
    return made.status === 0 ? cpu : -1;
  } catch {
    return -1;
  }
}
