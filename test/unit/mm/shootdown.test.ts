// SPDX-License-Identifier: GPL-2.0-only
/**
 * Two threads: one stands for a CPU that is using pages, in a section; the other takes pages away.
 * It must wait, and hold on to the pages while it does.
 */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { LINE_WORDS } from '../../../dist/shared/types.js';
import { MADV_DONTNEED, MADV_FREE, madvise } from '../../../dist/src/mm/madvise.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { VM_READ } from '../../../dist/src/mm/mm_types.js';
import { mprotect } from '../../../dist/src/mm/mprotect.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import type { UserContext } from '../../../dist/src/mm/user.js';
import { bootForks, context, fork, pfnOf, range, touch } from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

/** The other CPU: in its section until somebody waits for it, or is done without. */
const OTHER_CPU = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { section, row, refcount, pfn, done } = workerData;
  parentPort.postMessage('ready');
  while (Atomics.load(section, row + 1) === 0 && Atomics.load(done, 0) === 0) {
    Atomics.wait(done, 0, 0, 1);
  }
  const seen = [Atomics.load(done, 0), Atomics.load(refcount, pfn)];
  Atomics.add(section, row, 1);
  Atomics.notify(section, row);
  parentPort.postMessage(seen);
`;

const message = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));

/**
 * Calls `stop` while CPU 1 is in a section of the address space.
 * @returns whether `stop` was done when it left, and the references of the page then and now
 */
async function against(m: Mm, mm: number, pfn: number, stop: () => unknown) {
  const row = LINE_WORDS;
  const { refcount } = m.page;
  const done = new Int32Array(new SharedArrayBuffer(4));
  Atomics.or(m.mm.cpuMask, mm, 2);
  Atomics.store(m.section, row, 1);
  const workerData = { section: m.section, row, refcount, pfn, done };
  const worker = new Worker(OTHER_CPU, { eval: true, workerData });
  await message(worker);
  const left = message(worker);
  stop();
  Atomics.store(done, 0, 1);
  const [early, waiting] = (await left) as [number, number];
  Atomics.and(m.mm.cpuMask, mm, ~2);
  return { early, waiting, now: Atomics.load(refcount, pfn) };
}

const at = (page: number): number => FIRST_VPN + page;

describe('a CPU in a section', () => {
  const stops: [string, boolean, (m: Mm, user: UserContext) => unknown][] = [
    ['munmap', true, (m) => munmap(m, 1, at(0), at(40))],
    ['MADV_DONTNEED', true, (m) => madvise(m, 1, at(0), at(40), MADV_DONTNEED)],
    ['MADV_FREE', false, (m) => madvise(m, 1, at(0), at(40), MADV_FREE)],
    ['mprotect', false, (m) => mprotect(m, 1, at(0), at(40), VM_READ)],
    ['mremap', false, (m) => mremap(m, 1, at(0), 40, 40, at(9000))],
    ['fork', false, (m, user) => fork(m, user)],
  ];
  it.each(stops)('holds %s back, and the page', async (_, frees, stop) => {
    const m = bootForks({ cpus: 2 });
    const user = context(m, 1);
    touch(m, user, range(0, 40));
    const seen = await against(m, 1, pfnOf(m, 1, 3), () => stop(m, user));
    expect(seen.early).toBe(0);
    expect(seen.waiting).toBeGreaterThan(0);
    expect(seen.now > 0).toBe(!frees);
  });

  it('keeps the page that a copy replaces from being its last owner’s to write', async () => {
    const m = bootForks({ cpus: 2 });
    const user = context(m, 1);
    touch(m, user, range(0, 40));
    const child = fork(m, user);
    const shared = pfnOf(m, 1, 3);
    const seen = await against(m, child.mm, shared, () => touch(m, child, [3]));
    expect(pfnOf(m, child.mm, 3)).not.toBe(shared);
    // The parent's mapping; while the child's CPUs may read it, two more.
    expect(seen).toEqual({ early: 0, waiting: 3, now: 1 });
  });
});
