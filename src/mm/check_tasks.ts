// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over simulated processes: rows, queues, stamps (see check.ts). */
import { LINE_WORDS } from '../../shared/types.ts';
import type { Checker } from './check.ts';
import type { Mm } from './mm.ts';
import {
  RQ_CURR,
  RQ_HEAD,
  RQ_LOAD,
  RQ_QUEUED,
  SCHED_EXITS,
  SCHED_FREE,
  SCHED_LIVE,
  SCHED_STAMP_FREE,
  SCHED_STAMP_USED,
  SCHED_USED,
  schedEnabled,
  TASK_FREE,
} from './sched_types.ts';

/** Length of a free list; a list that goes round is as long as `most` and one. */
function listLength(head: number, next: Int32Array, most: number): number {
  let rows = 0;
  for (let row = head; row !== 0 && rows <= most; row = next[row] as number) rows++;
  return rows;
}

/** Recounts run queues and rows. @context quiescence */
export function checkTasks(m: Mm, check: Checker): void {
  if (!schedEnabled(m.config)) return;
  const { words, task, rq } = m.sched;
  const used = Atomics.load(words, SCHED_USED);
  let inUse = 0;
  for (let row = 1; row <= used; row++) {
    const free = Atomics.load(task.state, row) === TASK_FREE;
    check.equal(Atomics.load(task.pid, row) === 0 ? 1 : 0, free ? 1 : 0, `task row ${row} free`);
    if (!free) inUse++;
  }
  const listed = listLength(words[SCHED_FREE] as number, task.nextSibling, used);
  check.equal(listed, used - inUse, 'free task rows');
  let load = 0;
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    const base = cpu * LINE_WORDS;
    load += Atomics.load(rq, base + RQ_LOAD);
    const queued = listLength(rq[base + RQ_HEAD] as number, task.rqNext, used);
    check.equal(Atomics.load(rq, base + RQ_QUEUED), queued, `cpu ${cpu} queued tasks`);
  }
  check.equal(Atomics.load(words, SCHED_LIVE), load, 'tasks that live');
}

/** No task has left anything. @context after shutdown; not where programs were never started */
export function checkNoTasks(m: Mm, check: Checker): void {
  if (!schedEnabled(m.config)) return;
  const { words, task, rq, stamp } = m.sched;
  if (Atomics.load(words, SCHED_EXITS) === 0) return;
  const used = Atomics.load(words, SCHED_USED);
  for (let row = 1; row <= used; row++) {
    check.equal(Atomics.load(task.state, row), TASK_FREE, `task row ${row} at the end`);
  }
  check.equal(Atomics.load(words, SCHED_LIVE), 0, 'tasks at the end');
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    check.equal(rq[cpu * LINE_WORDS + RQ_CURR] as number, 0, `cpu ${cpu} task at the end`);
  }
  const stamps = words[SCHED_STAMP_USED] as number;
  const free = listLength(words[SCHED_STAMP_FREE] as number, stamp.next, stamps);
  check.equal(free, stamps, 'free stamp tables at the end');
  for (let mm = m.config.processes.length + 1; mm < m.sizes.nrMms; mm++) {
    check.equal(Atomics.load(m.mm.users, mm), 0, `users of mm ${mm} at the end`);
    check.equal(Atomics.load(m.sched.stampSlots, mm), 0, `stamp slots of mm ${mm} at the end`);
  }
  for (let mm = 0; mm < m.sizes.nrMms; mm++) {
    check.equal(Atomics.load(m.fdUsers, mm), 0, `users of the descriptors of mm ${mm} at the end`);
  }
}
