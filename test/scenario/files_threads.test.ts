// SPDX-License-Identifier: GPL-2.0-only
/**
 * Three threads on the same mounts: names made, found and removed, scans, mounts and groups that
 * come and go. Afterwards every object is where it belongs, and then everything is back.
 */
import { expect, test } from 'vitest';
import { enterRcu, leaveRcu } from '../../dist/shared/rcu.js';
import { THREAD_RUNNING } from '../../dist/shared/thread.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { drainEverything } from '../../dist/src/mm/drain.js';
import { exitMm } from '../../dist/src/mm/exit_mm.js';
import { DISKFS, TMPFS } from '../../dist/src/mm/fs_types.js';
import { mount, umountAll } from '../../dist/src/mm/super.js';
import { spawnWorker } from '../fixtures/spawn_worker.mjs';
import { bootFixture } from '../helpers/mm_fixture.js';

const THREADS = [2, 3, 4];
const STEPS = 4000;
/** What a thread says that it did. */
const DID = { opened: 0, unlinked: 0, scanned: 0, mounted: 0, reparented: 0 };

test.each([
  [1, 1],
  [2, 2],
])(
  'files: three threads work on the same mounts, seed %i, %i nodes',
  async (seed, nodes) => {
    const groups = [0, 1, 2, 3, 4];
    const m = bootFixture({
      nodes: Array.from({ length: nodes }, () => ({ zonePages: [1024] })),
      cpus: 4,
      memcgs: groups.map((memcg) => ({
        name: `g${memcg}`,
        parent: memcg === 0 ? 0 : memcg === 1 ? 0 : 1,
        maxPages: null,
      })),
    });
    m.task.memcg = 1;
    const control = new SharedArrayBuffer(64);
    new Int32Array(control).set([mount(m, TMPFS, 'shared'), mount(m, DISKFS, 'shared')], 2);
    leaveRcu();
    Atomics.store(m.sync.threads.state, 1, THREAD_RUNNING);
    const runs = THREADS.map((id) => {
      const { buffers, config } = m;
      const data = { buffers, config, id, control, seed, steps: STEPS, group: id, groups };
      return spawnWorker('files_worker.mjs', data, 60_000).result as Promise<typeof DID>;
    });
    const did = await Promise.all(runs);
    for (const what of Object.keys(DID) as (keyof typeof DID)[]) {
      expect(
        did.reduce((sum, one) => sum + one[what], 0),
        what,
      ).toBeGreaterThan(10);
    }
    enterRcu(m.rcu, 1);
    drainEverything(m);
    expect(checkQuiescent(m).violations).toEqual([]);
    expect(umountAll(m)).toBe(0);
    exitMm(m, 1);
    drainEverything(m);
    expect(checkEmpty(m).violations).toEqual([]);
    for (const memcg of groups.slice(1)) expect(Atomics.load(m.memcg.refs, memcg)).toBe(1);
  },
  90_000,
);
