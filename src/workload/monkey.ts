// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workload monkey: a phone whose user opens one app after the other, some far more often than
 * others. Apps are forked from a zygote, so that their anon_vmas hang together, and all map the
 * same library files. When memory is short the app that was used longest ago is killed; the next
 * time that it is wanted it starts anew. After the load of seed 000, a 300-hour monkey test.
 */
import { sumFigure } from './figures.ts';
import { field, integer, number, open, seconds, size } from './kind_fields.ts';
import { defineKind, type KindContext } from './kind_types.ts';
import { type MonkeyShape, monkeyWords } from './monkey_shape.ts';
import { vmaTables } from './workload.ts';
import { makeZipf } from './zipf.ts';

const MODULES = {
  zygote: new URL('./monkey_program.js', import.meta.url).href,
  app: new URL('./monkey_app_program.js', import.meta.url).href,
};
/** Places in every address space, as far apart as the largest machine needs. */
const PLACES = { zygote: 1 << 16, libraries: 1 << 24, code: 1 << 25, heap: 1 << 26 } as const;
const FILES = 8;
const LAUNCHES_PER_APP = 8;
/** VMAs of an app: libraries, what it inherits, its own; and what trimming has split. */
const VMAS = FILES + 12;

const FIELDS = {
  apps: field(integer(1, 1000), 'apps that there are', 24),
  launches: open(integer(1, 1e9), `launches (default: ${LAUNCHES_PER_APP} for each app)`),
  seconds,
  theta: field(number(0, 16), 'skew of the popularity of apps, and of pages of a heap', 0.9),
  heap: field(size, 'heap of an app', '10%'),
  zygote: field(size, 'anonymous memory that apps inherit', '4%'),
  libraries: field(size, `files that all apps map, ${FILES} of them together`, '12%'),
  touch: field(number(0, 10), 'touches of a launch, for each page of the heap', 0.5),
  think: field(number(0, 1e6), 'ms between two launches', 0),
  minAvailable: field(size, 'an app is killed when less than this is available ...', '15%'),
  minSwap: field(size, '... and at most this is free of the swap', '10%'),
  maxStall: field(
    number(0, 1),
    'an app is killed, too, when somebody waited for memory for more than this part of the time',
    0.6,
  ),
};

function shapeOf(context: KindContext, options: Options): MonkeyShape {
  const { prefix, figures, seed } = context;
  const { apps, theta, touch } = options;
  const heapPages = context.pages('heap', options.heap);
  const libraryPages = Math.ceil(context.pages('libraries', options.libraries) / FILES);
  return {
    ...{ prefix, figures, apps, touch },
    folder: context.folder(),
    launches: options.seconds === undefined ? (options.launches ?? LAUNCHES_PER_APP * apps) : 0,
    seconds: options.seconds ?? 0,
    thinkMs: options.think,
    zygote: { first: PLACES.zygote, pages: context.pages('zygote', options.zygote) },
    libraries: { first: PLACES.libraries, files: FILES, pages: libraryPages },
    code: { first: PLACES.code, pages: libraryPages },
    heap: { first: PLACES.heap, pages: heapPages },
    popularity: makeZipf(apps, theta, seed),
    heapRanks: makeZipf(heapPages, theta, seed),
    minAvailable: context.pages('minAvailable', options.minAvailable),
    minSwap: context.pages('minSwap', options.minSwap),
    maxStall: options.maxStall,
    words: monkeyWords(apps),
  };
}

type Options = Parameters<Parameters<typeof defineKind<typeof FIELDS>>[0]['plan']>[1];

const range = ({ first, pages }: { first: number; pages: number }) => ({
  start: first,
  end: first + pages,
});

/** See the head of this file. */
export const monkey = defineKind({
  kind: 'monkey',
  description: 'apps forked from a zygote and launched by popularity; the oldest are killed',
  fields: FIELDS,
  figures: {
    launches: 'launches asked for',
    cold: 'of which found the app not alive',
    hot: 'of which found it alive',
    kills: 'apps that were killed because memory was short',
    oomKilled: 'apps that the OOM killer took',
    refused: 'forks that failed',
    pages: 'pages that apps touched',
    filePages: 'pages of library files that were written at the beginning',
  },
  latencies: {
    coldStart: 'from the first step of an app to its being in front',
    hotStart: 'from its waking up to its being in front',
  },
  plan(context, options) {
    const shape = shapeOf(context, options);
    const { prefix, figures, apps, zygote, libraries, code, heap } = shape;
    const all = { first: libraries.first, pages: libraries.files * libraries.pages };
    const tables = vmaTables([zygote, all, code, heap].map(range));
    const program = (name: 'zygote' | 'app') => ({
      name: `${prefix}${name}`,
      module: MODULES[name],
      export: name,
      shared: shape,
    });
    return {
      root: `${prefix}zygote`,
      programs: [program('zygote'), program('app')],
      tasks: apps + 1,
      footprintPages: zygote.pages + all.pages + apps * (heap.pages + Math.ceil(code.pages / 4)),
      pageTables: tables * (apps + 1),
      vmas: VMAS * (apps + 1),
      config: { hostFiles: true },
      progress: () =>
        `${sumFigure(figures, 'launches')} launches, ${sumFigure(figures, 'kills')} killed`,
    };
  },
});
