// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload memcached: one process whose threads get and set items of an anonymous heap that is
 * larger than the memory they have. Popularity of the items follows Zipf's law.
 */
import { STAMP_SLOTS } from '../mm/stamp.ts';
import { sumFigure } from './figures.ts';
import { field, integer, number, open, seconds, size } from './kind_fields.ts';
import { defineKind } from './kind_types.ts';
import type { MemcachedShape } from './memcached_program.ts';
import { vmaTables } from './workload.ts';
import { makeZipf } from './zipf.ts';

const module = new URL('./memcached_program.js', import.meta.url).href;
const FIRST_VPN = 1 << 16;
/** Operations of all threads, where nothing says how many: so many for each page of the heap. */
const OPS_PER_PAGE = 8;

/** See the head of this file. */
export const memcached = defineKind({
  kind: 'memcached',
  description: 'threads that get and set items of an anonymous heap larger than memory, by Zipf',
  fields: {
    heap: field(size, 'the heap', '150%'),
    threads: open(integer(1, STAMP_SLOTS - 1), 'threads (default: one for each of its CPUs)'),
    sets: field(number(0, 1), 'part of the operations that set', 0.1),
    theta: field(number(0, 16), 'skew of the popularity: 0 is uniform', 0.99),
    ops: open(integer(1, 1e9), `operations of all threads (default: ${OPS_PER_PAGE} a page)`),
    seconds,
  },
  figures: {
    ops: 'operations; `opsPerSec` while a CPU was at it, summed over CPUs',
    opsNs: 'time of the operations',
    sets: 'of which were sets',
    filled: 'items that were stored before the first operation',
    threads: 'threads that were started beside the first',
    refused: 'threads that could not be started',
  },
  latencies: { get: 'a get, one in 16 measured', set: 'a set, as measured' },
  plan(context, options) {
    const { prefix, figures, cpus } = context;
    const pages = context.pages('heap', options.heap);
    const threads = Math.min(options.threads ?? cpus.length, STAMP_SLOTS - 1);
    const all = options.ops ?? OPS_PER_PAGE * pages;
    const shape: MemcachedShape = {
      prefix,
      first: FIRST_VPN,
      pages,
      threads,
      sets: options.sets,
      ops: options.seconds === undefined ? Math.ceil(all / threads) : 0,
      seconds: options.seconds ?? 0,
      ranks: makeZipf(pages, options.theta, context.seed),
      figures,
    };
    const heap = [{ start: FIRST_VPN, end: FIRST_VPN + pages }];
    return {
      root: `${prefix}memcached`,
      programs: [
        { name: `${prefix}memcached`, module, export: 'memcached', shared: shape },
        { name: `${prefix}thread`, module, export: 'memcachedThread', shared: shape },
      ],
      tasks: threads,
      footprintPages: pages,
      // Each thread knows what it stored: stamps have as many tables as there are page tables.
      pageTables: vmaTables(heap) * threads,
      vmas: 1,
      progress: () =>
        `${sumFigure(figures, 'ops')} operations, ` +
        `${sumFigure(figures, 'filled')} of ${pages} items stored`,
    };
  },
});
