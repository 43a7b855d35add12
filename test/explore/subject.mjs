// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a scenario of this folder explores: modules of shared/ as they are built, or, when its URL
 * names a plant (`x.scenario.mjs?plant=no_notify`), the same modules with an edit. So a broken
 * twin is the shipped code but for the planted bug.
 *
 *   const plants = { ... };
 *   const { begin, choose, load } = await openSubject(import.meta.url, plants);
 *   const { complete } = await load('completion');
 *   export const exploration = { subject, asserts, plants, variants: { ... } };
 *   export const { setup, threads, check, options } = choose(exploration);
 *
 * A variant is { says, threads, setup, check, preemptions, timeouts }; `?variant=` names it, the
 * first is the default. Plain accesses are scheduling points and must not race (`racy` says which
 * may), unless the exploration says `plainData: false`.
 *
 * A plant is { says, module, edits, variant }: each of the edits [text, becomes] must fit the built
 * module exactly once. An edited module, and those of shared/ that import it, are loaded as data:
 * URLs; all others are the ones that everybody uses. A plant with `twin` is made by the scenario.
 */
import { readFileSync } from 'node:fs';
import { ArenaBuilder } from '../../dist/shared/arena.js';

const SHARED = new URL('../../dist/shared/', import.meta.url);
const IMPORT = /(from |import )["']\.\/(\w+)\.js["']/g;
const SOURCE_MAP = /\/\/# sourceMappingURL=.*/;

/** How every scenario of this folder is explored, unless a caller says otherwise. */
const BASE = { strategy: 'dfs', maxSteps: 20_000, seconds: 120 };

function fileOf(name) {
  return new URL(`${name}.js`, SHARED).href;
}

function sourceOf(name) {
  return readFileSync(new URL(fileOf(name)), 'utf8');
}

function edited(name, plant) {
  return plant.edits.reduce((source, [text, becomes]) => {
    const parts = source.split(text);
    if (parts.length !== 2) throw new Error(`${name}.js has '${text}' ${parts.length - 1} times`);
    return parts.join(becomes);
  }, sourceOf(name));
}

/** The URL of each module, given the plant: of the file, or of the edited text. */
function urlFinder(plant) {
  const known = new Map();
  const find = (name) => {
    const seen = known.get(name);
    if (seen !== undefined) return seen;
    known.set(name, fileOf(name));
    const touched = name === plant.module;
    let differs = touched;
    const text = (touched ? edited(name, plant) : sourceOf(name)).replace(
      IMPORT,
      (_, verb, imported) => {
        const url = find(imported);
        differs ||= url.startsWith('data:');
        return `${verb}'${url}'`;
      },
    );
    if (differs) {
      const named = text.replace(SOURCE_MAP, `//# sourceURL=planted/${name}.js`);
      known.set(name, `data:text/javascript;base64,${Buffer.from(named).toString('base64')}`);
    }
    return known.get(name);
  };
  return find;
}

/**
 * @param url of the scenario: `?variant=` and `?plant=` choose
 * @param plants by name
 * @returns `load`, which imports a module of shared/; `begin`, with which every thread function
 * begins: it forgets what module state of the substrate an earlier execution left behind;
 * `choose`, which finds the variant
 */
export async function openSubject(url, plants = {}) {
  const query = new URL(url).searchParams;
  const name = query.get('plant');
  const plant = name === null ? null : plants[name];
  if (plant === undefined) throw new Error(`no plant '${name}' in ${url}`);
  const find = plant === null || plant.twin ? (module) => fileOf(module) : urlFinder(plant);
  const load = (module) => import(find(module));
  const { resetSync } = await load('sync_domain');
  const { resetRcu } = await load('rcu');
  return {
    load,
    plant: name,
    begin: (context) => {
      resetSync(context.id + 1);
      resetRcu();
    },
    choose: ({ variants, plainData = true, include }) => {
      const variant = query.get('variant') ?? plant?.variant ?? Object.keys(variants)[0];
      if (variants[variant] === undefined) throw new Error(`no variant '${variant}' in ${url}`);
      const { setup, threads, check, preemptions, reduction, timeouts } = variants[variant];
      // Edited modules are not instrumented: where data is plain, nothing may be left out then.
      const race = plant === null && plainData;
      const bound = { preemptions, timeouts, reduction: race ? true : reduction };
      return { setup, threads, check, options: { ...BASE, race, include, ...bound } };
    },
  };
}

/** Zeroed shared words. */
export function sharedWords(count) {
  return new Int32Array(new SharedArrayBuffer(count * 4));
}

/** Tables as an arena declares them, on shared memory just large enough: a state. */
export function sharedTables(declare) {
  const measure = new ArenaBuilder(null);
  declare(measure);
  return declare(new ArenaBuilder(new SharedArrayBuffer(measure.sizeBytes)));
}

/** Throws unless it holds. */
export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/**
 * Virtual ms since the execution began. A wait times out only when nothing else can happen, so a
 * bounded sleep that nobody ended shows here.
 */
export function elapsedMs() {
  return performance.now();
}

/** Less than any bounded sleep of the substrate. */
export const PROMPT_MS = 50;
