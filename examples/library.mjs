// SPDX-License-Identifier: GPL-2.0-only
// kreclaim as a library: boots a machine, runs a program of ours on it, reads counters.
//   node examples/library.mjs
import { Machine, MachinePanicError, UsageError } from 'kreclaim';

const first = 65536;
const pages = 2048;

const cache = {
  comm: 'cache',
  cpus: [0],
  vmas: [{ start: first, end: first + pages }],
  program: { module: new URL('./refresh_cache.mjs', import.meta.url).href, export: 'refreshCache' },
  args: { first, pages, rounds: 40 },
};

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

try {
  // Half of what the program touches: kswapd and direct reclaim have to work.
  const machine = await Machine.boot(
    { memory: '50%', swap: 'zram', swappiness: 100, processes: [cache] },
    { signal: stop.signal },
  );
  try {
    await machine.run();
    const { pgfault, pgmajfault, pgscan_kswapd, pgsteal_kswapd } = machine.vmstat();
    console.log({ pgfault, pgmajfault, pgscan_kswapd, pgsteal_kswapd });
    console.log(machine.readFile('/proc/meminfo').split('\n').slice(0, 2).join('\n'));
    for (const { comm, cpuMs } of machine.threads()) console.log(comm, cpuMs);
  } finally {
    await machine.shutdown();
  }
} catch (error) {
  if (!(error instanceof UsageError || error instanceof MachinePanicError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
