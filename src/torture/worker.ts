// SPDX-License-Identifier: GPL-2.0-only
/** The body of a torture worker: one job after another, each on an arena of its own. */
import { parentPort } from 'node:worker_threads';
import { attachArena } from '../../shared/arena.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { disarmDelays, noteDelaysAt } from '../harness/torture_delays.ts';
import {
  awaitWord,
  J_PROGRESS,
  J_READY,
  type JobAnswer,
  type JobRequest,
  TortureContext,
  type TortureType,
} from './job.ts';

/** Threads of a job start together, but one that does not come is not waited for. */
const READY_MS = 10_000;

async function run(request: JobRequest): Promise<JobAnswer> {
  const { id, threads, control } = request;
  const module = (await import(request.module)) as { types: readonly TortureType[] };
  const type = module.types.find(({ name }) => name === request.type);
  if (type === undefined) throw new Error(`no torture type ${request.type}`);
  const { tables } = attachArena(request.memory, (builder) => type.declare(builder, threads));
  const context = new TortureContext(request);
  noteDelaysAt(control, J_PROGRESS + id * LINE_WORDS);
  Atomics.add(control, J_READY, 1);
  Atomics.notify(control, J_READY);
  for (let seen = 0; seen < threads; seen = Atomics.load(control, J_READY)) {
    if (!awaitWord(control, J_READY, seen, READY_MS)) break;
  }
  const answer = { messages: context.messages, thrown: null, stack: '' };
  try {
    return { ...answer, tally: type.body(tables, context) };
  } catch (error) {
    const { name, message, stack = '' } = error as Error;
    context.fail(`${name}: ${message}`);
    return { ...answer, tally: {}, thrown: `${name}: ${message}`, stack };
  } finally {
    disarmDelays();
  }
}

parentPort?.on('message', async (request: JobRequest) => {
  parentPort?.postMessage(await run(request));
});
