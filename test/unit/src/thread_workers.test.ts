// SPDX-License-Identifier: GPL-2.0-only
/** Workers that wait for the next machine's thread of their name. */
import { afterEach, expect, it } from 'vitest';
import type { WorkerData } from '../../../dist/kthreads/engine.js';
import { freshWorkers, KeptWorkers, type ThreadWorker } from '../../../dist/src/thread_workers.js';

/** Ends its thread at once, or as `threadId` says: 1 throws, 2 exits with 7. */
const ENTRY = new URL(`data:text/javascript,
import { parentPort, workerData } from 'node:worker_threads';
for (let data = workerData; ; ) {
  if (data.threadId === 1) throw new Error('as told');
  if (data.threadId === 2) process.exit(7);
  if (!data.kept) break;
  const next = new Promise((resolve) => parentPort.once('message', resolve));
  parentPort.postMessage(null);
  data = await next;
}`);

const started: ThreadWorker[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((worker) => worker.terminate()));
});

interface Ended {
  readonly worker: ThreadWorker;
  readonly code: number;
  readonly error: string;
}

function run(workers: typeof freshWorkers, comm: string, threadId = 0): Promise<Ended> {
  const data = { spec: { comm }, threadId, kept: false } as unknown as WorkerData;
  return new Promise((resolve) => {
    let said = '';
    const worker = workers.start(ENTRY, data, [], {
      error: (error) => {
        said = (error as Error).message;
      },
      gone: (code) => resolve({ worker, code, error: said }),
    });
    started.push(worker);
  });
}

it('a fresh worker ends with its thread', async () => {
  const [one, two] = [await run(freshWorkers, 'a'), await run(freshWorkers, 'a')];
  expect([one.code, two.code]).toEqual([0, 0]);
  expect(one.worker).not.toBe(two.worker);
});

it('a kept worker has the next thread of its name, and of no other', async () => {
  const kept = new KeptWorkers();
  const first = await run(kept, 'a');
  const other = await run(kept, 'b');
  expect(other.worker).not.toBe(first.worker);
  const again = await Promise.all([run(kept, 'a'), run(kept, 'b')]);
  expect(again.map(({ worker }) => worker)).toEqual([first.worker, other.worker]);
  expect(again.map(({ code }) => code)).toEqual([0, 0]);
  // Of two at once, one is new.
  const both = await Promise.all([run(kept, 'a'), run(kept, 'a')]);
  expect(both[0]?.worker).toBe(first.worker);
  expect(both[1]?.worker).not.toBe(first.worker);
});

it('one that throws, exits or is terminated is kept for nobody', async () => {
  const kept = new KeptWorkers();
  const { worker } = await run(kept, 'a');
  expect(await run(kept, 'a', 1)).toEqual({ worker, code: 1, error: 'as told' });
  const second = await run(kept, 'a', 2);
  expect(second).toMatchObject({ code: 7, error: '' });
  expect(second.worker).not.toBe(worker);
  const third = await run(kept, 'a');
  await third.worker.terminate();
  const fourth = await run(kept, 'a');
  expect(fourth.code).toBe(0);
  expect(fourth.worker).not.toBe(third.worker);
});
