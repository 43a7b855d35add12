// SPDX-License-Identifier: MIT
/** A worker that loads a litmus test, says what it is, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  importLitmus,
  type LitmusPlace,
  type LitmusShape,
  loadLitmus,
  shapeOf,
} from './litmus_load.ts';
import type { AnyLitmusTest } from './litmus_test.ts';

/** What it says: a test, the names of a list, or one line about what is wrong. */
export type LitmusDescription =
  | { readonly shape: LitmusShape }
  | { readonly names: readonly (string | null)[] }
  | { readonly wrong: string };

/** `workerData`: the names of a file's tests, or one test. */
export interface DescribeRequest {
  readonly names: boolean;
  readonly place: LitmusPlace;
}

async function describe({ names, place }: DescribeRequest): Promise<LitmusDescription> {
  if (!names) return { shape: shapeOf(await loadLitmus(place)) };
  const { tests } = await importLitmus(place.url as string);
  if (tests === undefined) return { names: [null] };
  return { names: (tests as readonly AnyLitmusTest[]).map(({ name }) => name ?? '') };
}

const description = await describe(workerData as DescribeRequest).catch((error: Error) => ({
  wrong: error.message.split('\n')[0] as string,
}));
parentPort?.postMessage(description);
