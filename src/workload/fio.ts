// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload fio: processes that read and write blocks of one file of the host, which is larger than
 * memory, through the page cache. Every block is compared with what was written to it, and at the
 * end the host's file is read back past the engine.
 */
import * as v from 'valibot';
import { PAGE_SIZE } from '../mm/limits.ts';
import { sumFigure } from './figures.ts';
import { FIO_RW, type FioShape } from './fio_program.ts';
import { field, flag, integer, open, seconds, size } from './kind_fields.ts';
import { defineKind } from './kind_types.ts';
import { vmaTables } from './workload.ts';

const module = new URL('./fio_program.js', import.meta.url).href;
const JOBS = 4;
/** Operations, where nothing says how many: so many for each block. */
const OPS_PER_BLOCK = 1;

/** See the head of this file. */
export const fio = defineKind({
  kind: 'fio',
  description: 'processes that read and write blocks of a file larger than memory',
  fields: {
    fileSize: field(size, 'the file', '200%'),
    blockKb: field(integer(4, 1024), 'a block, in KiB, a multiple of 4', 4),
    numJobs: field(integer(1, 1024), 'processes', JOBS),
    rw: field(
      v.picklist(FIO_RW, `give ${FIO_RW.join(', ')}`),
      `what they do: ${FIO_RW.join(', ')}`,
      'randread',
    ),
    writePercent: field(integer(0, 100), 'writes among the operations of randrw, in percent', 30),
    fsyncEvery: field(integer(0, 1e9), 'fsync after so many writes of a job; 0 for never', 0),
    ops: open(integer(1, 1e9), `operations of all (default: ${OPS_PER_BLOCK} for each block)`),
    check: field(flag, 'compare every block that is read', true),
    seconds,
  },
  figures: {
    ops: 'reads and writes; `opsPerSec` while a CPU was at it, summed over CPUs',
    opsNs: 'time of the operations',
    reads: 'of which were reads',
    writes: 'of which were writes',
    fsyncs: 'calls of fsync',
    failedFsyncs: 'of those, calls that said that a write had failed (EIO)',
    hits: 'reads that found all pages in the cache',
    hitPercent: 'of the reads',
    iops: 'operations a second, from the start of the first job to the end of the last',
    kilobytes: 'read and written',
    wrong: 'blocks that did not hold what was written: the run fails',
    verified: 'blocks of the host read back at the end',
    refused: 'jobs that could not be started',
    killed: 'jobs that were killed',
  },
  latencies: { read: 'a read', write: 'a write', fsync: 'an fsync' },
  plan(context, options) {
    const { prefix, figures, seed } = context;
    const { numJobs: jobs, rw, blockKb, writePercent, fsyncEvery, check } = options;
    const blockPages = blockKb / 4;
    if (!Number.isInteger(blockPages)) {
      throw context.bad('blockKb', `${blockKb} is no multiple of 4`, 'give 4, 8, 16, ...');
    }
    const pages = context.pages('fileSize', options.fileSize);
    const blocks = Math.max(jobs, Math.floor(pages / blockPages));
    const all = options.ops ?? OPS_PER_BLOCK * blocks;
    const cells = (): Int32Array => new Int32Array(new SharedArrayBuffer(4 * blocks));
    const shape: FioShape = {
      ...{ prefix, figures, seed, jobs, rw, writePercent, fsyncEvery, blocks, check },
      dir: context.folder(),
      blockBytes: blockPages * PAGE_SIZE,
      ops: options.seconds === undefined ? Math.ceil(all / jobs) : 0,
      seconds: options.seconds ?? 0,
      begun: cells(),
      done: cells(),
    };
    return {
      root: `${prefix}fio`,
      programs: [
        { name: `${prefix}fio`, module, export: 'fio', shared: shape },
        { name: `${prefix}job`, module, export: 'fioJob', shared: shape },
      ],
      tasks: jobs + 1,
      footprintPages: context.memoryPages,
      pageTables: vmaTables([{ start: 0, end: 1 }]) * (jobs + 1),
      vmas: jobs + 1,
      config: { hostFiles: true },
      progress: () => `${sumFigure(figures, 'ops')} operations`,
    };
  },
});
