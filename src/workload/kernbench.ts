// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload kernbench: a build. Many short processes, some at once, map a compiler, read a source
 * file and headers, compute in memory of their own, and write an object file; a last one reads all
 * of these and writes the program. Files are the host's, through the page cache.
 */
import { sumFigure } from './figures.ts';
import { OBJECT_FACTOR } from './kernbench_files.ts';
import { DATA_VPN, HEAP_VPN, type KernbenchShape, OUT_VPN, TEXT_VPN } from './kernbench_tool.ts';
import { field, integer, number, open, seconds, size } from './kind_fields.ts';
import { defineKind, type KindContext } from './kind_types.ts';
import { vmaTables } from './workload.ts';

const module = new URL('./kernbench_program.js', import.meta.url).href;
const UNITS_MAX = 1500;
/** Mean pages of a source where nothing limits the number of units. */
const SOURCE_PAGES = 8;
/** Pages of one header. */
const HEADER_PAGES = 4;
/** Mappings of a process, at most. */
const VMAS = 8;
/** Names beside those of units and headers. */
const SPARE_NAMES = 64;

/** Units whose sources are as large as a third of the memory, and their mean size in pages. */
function usualUnits(memoryPages: number): number {
  return Math.max(8, Math.min(UNITS_MAX, Math.floor(memoryPages / (3 * SOURCE_PAGES))));
}

/** Sizes of the files. */
function sizesOf({ memoryPages }: KindContext, units: number) {
  return {
    units,
    // One of 1 to twice the mean, so that a third of the memory is sources.
    sourcePages: Math.max(1, Math.round(memoryPages / (3 * units))),
    compilerPages: Math.max(16, Math.floor(memoryPages / 8)),
    dataPages: Math.max(4, Math.floor(memoryPages / 64)),
    headers: Math.max(4, Math.floor(memoryPages / 8 / HEADER_PAGES)),
    headerPages: HEADER_PAGES,
  };
}

function tablesOf({ compilerPages, dataPages, heapPages, sourcePages }: KernbenchShape): number {
  const at = (start: number, pages: number) => ({ start, end: start + pages });
  return vmaTables([
    at(TEXT_VPN, compilerPages),
    at(DATA_VPN, dataPages),
    at(HEAP_VPN, heapPages),
    at(OUT_VPN, 2 * OBJECT_FACTOR * sourcePages),
  ]);
}

/** See the head of this file. */
export const kernbench = defineKind({
  kind: 'kernbench',
  description: 'a build: short processes that map a compiler, read sources and write objects',
  fields: {
    units: open(integer(1, 100_000), 'source files (default: a third of the memory)'),
    numJobs: open(integer(1, 1024), 'processes at once (default: twice its CPUs)'),
    heap: field(size, 'memory of all compilers at once', '40%'),
    builds: field(integer(1, 1e6), 'builds, one after the other', 1),
    busy: field(number(0, 1e6), 'computing of a unit, in us for each page of its source', 0),
    seconds,
  },
  figures: {
    units: 'units that were compiled',
    builds: 'builds that were linked',
    throughput: 'units a second, from the first to the end of the last link',
    sources: 'pages of sources and headers that were read',
    objects: 'pages of objects and programs that were written',
    text: 'pages of the compiler that were used',
    heap: 'pages of memory that were stored to',
    killed: 'compilers that were killed: their units are compiled again',
    refused: 'processes that could not be started at once',
    verified: 'pages of objects on the host read back at the end',
  },
  latencies: { unit: 'a unit, from its start to its end', link: 'a link' },
  plan(context, options) {
    const { prefix, figures, seed, cpus, memoryPages } = context;
    const units = options.units ?? usualUnits(memoryPages);
    const jobs = options.numJobs ?? 2 * cpus.length;
    const heapPages = Math.max(4, Math.floor(context.pages('heap', options.heap) / jobs));
    const shape: KernbenchShape = {
      ...sizesOf(context, units),
      ...{ prefix, figures, seed, jobs, heapPages, busyUs: options.busy },
      begun: new Int32Array(new SharedArrayBuffer(4 * (units + 1))),
      done: new Int32Array(new SharedArrayBuffer(4 * (units + 1))),
      dir: context.folder(),
      seconds: options.seconds ?? 0,
      builds: options.seconds === undefined ? options.builds : 0,
    };
    const program = (name: string, exported: string) => {
      return { name: `${prefix}${name}`, module, export: exported, shared: shape };
    };
    const names = 2 * units + shape.headers + SPARE_NAMES;
    return {
      root: `${prefix}make`,
      programs: [program('make', 'make'), program('cc', 'cc'), program('ld', 'ld')],
      tasks: jobs + 2,
      footprintPages: memoryPages,
      pageTables: tablesOf(shape) * (jobs + 2),
      vmas: VMAS * (jobs + 2),
      config: { hostFiles: true, dentriesMax: names, inodesMax: names },
      progress: () =>
        `${sumFigure(figures, 'units')} units, ${sumFigure(figures, 'builds')} builds`,
    };
  },
});
