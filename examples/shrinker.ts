// SPDX-License-Identifier: GPL-2.0-only
// A shrinker of our own under every variant: one CPU fills a cache and writes to more memory than
// there is, the other registers and frees shrinkers meanwhile.
//   npm run build && node dist/examples/shrinker.js    (Node >= 22.18: node examples/shrinker.ts)
import { realpathSync } from 'node:fs';
import { argv } from 'node:process';
import { type Process, runWorkload } from 'kreclaim';
import { SHRINK_EMPTY, type UserShrinker } from 'kreclaim/shrinker';

const [FIRST, PAGES] = [65536, 4096]; // the program's memory, in pages
const [CACHED, FREED, CHURNED, ENDED] = [0, 1, 2, 3]; // what each shared word counts

/** The type: every thread of the machine calls this once, at boot. */
export function cache(words: Int32Array): UserShrinker {
  return {
    countObjects: () => Atomics.load(words, CACHED) || SHRINK_EMPTY,
    scanObjects(sc) {
      const cached = Atomics.load(words, CACHED);
      const freed = Math.min(cached, sc.nrToScan);
      if (Atomics.compareExchange(words, CACHED, cached, cached - freed) !== cached) return 0;
      Atomics.add(words, FREED, freed);
      return freed;
    },
  };
}

export function fillAndChurn(process: Process, words: Int32Array): number {
  while (Atomics.load(words, ENDED) === 0 && process.ended === 0) {
    const shrinker = process.shrinkers.alloc('cache', { batch: 64 });
    process.shrinkers.register(shrinker);
    for (let n = 0; process.isFirstCpu && n < 4 * PAGES && process.ended === 0; n++) {
      Atomics.add(words, CACHED, 4);
      process.store(FIRST + (n % PAGES));
    }
    if (process.isFirstCpu) Atomics.store(words, ENDED, 1);
    process.shrinkers.free(shrinker); // from here on none of its callbacks runs
    Atomics.add(words, CHURNED, 1);
  }
  return process.ended;
}

async function measure(shrinker: 'rwsem' | 'srcu' | 'lockless' | 'lockless-fixed') {
  const args = new Int32Array(new SharedArrayBuffer(16));
  const here = (name: string) => ({ module: import.meta.url, export: name, args });
  const [program, vmas] = [here('fillAndChurn'), [{ start: FIRST, end: FIRST + PAGES }]];
  const processes = [{ comm: 'cache', cpus: [0, 1], program, vmas }];
  const config = { shrinker, shrinkerTypes: [{ name: 'cache', ...here('cache') }] };
  const report = await runWorkload({ processes }, config);
  if (report.panic !== null) throw new Error(report.panic.message);
  const { kr_shrink_walk: walks, kr_shrink_skipped: skipped } = report.counters;
  const churnPerSec = Math.round((1000 * (args[CHURNED] ?? 0)) / report.wallMs);
  return { shrinker, walks, skipped, freed: args[FREED], churnPerSec };
}

async function main(): Promise<void> {
  const before = [await measure('rwsem'), await measure('srcu')];
  console.table([...before, await measure('lockless'), await measure('lockless-fixed')]);
}
if (argv[1] && realpathSync(argv[1]) === import.meta.filename) void main(); // not in the CLI
