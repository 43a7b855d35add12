// SPDX-License-Identifier: GPL-2.0-only
/** A run of events through both WebAssembly kernels against the same run through their twins. */
import { expect, test } from 'vitest';
import { Prng } from '../../../dist/shared/prng.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import type { MmConfig } from '../../../dist/src/mm/config.js';
import { PAGE_WORDS } from '../../../dist/src/mm/limits.js';
import { attachMm, createMm, type Mm } from '../../../dist/src/mm/mm.js';
import { mmInit } from '../../../dist/src/mm/mm_init.js';
import { mmapAnon } from '../../../dist/src/mm/mmap.js';
import { RUN_DONE, UserContext } from '../../../dist/src/mm/user.js';
import { accessConfig, REGIONS } from '../../fixtures/access_machine.mjs';

const PAGES = REGIONS * 512;

interface Outcome {
  readonly results: readonly number[];
  readonly eventsDone: number;
  readonly mismatches: number;
  readonly first: string | null;
  readonly lastSeqs: readonly number[];
  readonly slots: readonly number[];
  readonly ptes: readonly number[];
}

function bootCpu(kernel: string): Mm {
  const config = {
    ...accessConfig(kernel),
    nodes: [{ zonePages: [PAGES * 2] }],
    processes: [
      {
        comm: 'test',
        memcg: 0,
        cpus: [1],
        program: { module: '', export: '' },
        args: null,
        vmas: [{ start: 0, end: PAGES }],
      },
    ],
    pageTables: 64,
  } as MmConfig;
  const main = createMm(config);
  mmInit(main);
  const m = attachMm(main.buffers, config, 1, 1);
  resetSync();
  enterSync(m.sync, m.task.id);
  m.task.mm = 1;
  mmapAnon(m, 1, 0, PAGES);
  return m;
}

/** Replays in pieces of odd lengths and strides; spoils some slots in between. */
function replay(kernel: string, events: Uint32Array): Outcome {
  const m = bootCpu(kernel);
  const regions = Float64Array.from({ length: REGIONS }, (_, region) => region * 512);
  const user = new UserContext(m, 1, regions);
  const frames = m.frame32[0] as Int32Array;
  const results: number[] = [];
  const prng = new Prng(3);
  for (const [from, to, stride] of [
    [0, 10_000, 1],
    [10_000, 10_005, 1],
    [10_005, 30_000, 3],
    [30_000, events.length, 1],
  ] as const) {
    results.push(user.run(events, from, to, stride, () => {}));
    for (let i = 0; i < 5; i++) {
      const word = (1 + prng.below(500)) * PAGE_WORDS + 3;
      frames[word] = (frames[word] as number) + 1;
    }
  }
  const slots = Array.from({ length: 2 * m.sizes.nrPages }, (_, i) => {
    return frames[(i >> 1) * PAGE_WORDS + 2 + (i & 1)] as number;
  });
  return {
    results,
    eventsDone: user.eventsDone,
    mismatches: user.mismatches,
    first: user.firstMismatch,
    lastSeqs: Array.from({ length: user.slots }, (_, slot) => user.lastSeqOf(slot)),
    slots,
    ptes: [...m.pte],
  };
}

test('user: a run through the kernels ends as one through their twins', () => {
  const prng = new Prng(11);
  const events = Uint32Array.from({ length: 60_000 }, () => {
    return (Math.floor(PAGES * prng.nextFloat() ** 3) << 2) | prng.below(3);
  });
  const twin = replay('ts', events);
  const ours = replay('wasm', events);
  expect(twin.results).toEqual([RUN_DONE, RUN_DONE, RUN_DONE, RUN_DONE]);
  expect(twin.mismatches).toBeGreaterThan(0);
  expect(ours).toEqual(twin);
});
