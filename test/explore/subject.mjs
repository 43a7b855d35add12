// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a scenario of this folder explores: modules of shared/ and of src/mm as they are built, or,
 * when its URL names a plant (`x.scenario.mjs?plant=no_notify`), the same modules with an edit. So
 * a broken twin is the shipped code but for the planted bug.
 *
 *   const plants = { ... };
 *   const { begin, choose, load } = await openSubject(import.meta.url, plants);
 *   const { complete } = await load('completion');
 *   export const exploration = { subject, asserts, plants, variants: { ... } };
 *   export const { setup, threads, check, options } = choose(exploration);
 *
 * A variant is { says, threads, setup, check, preemptions, timeouts }; `?variant=` names it, the
 * first is the default; `more` has those that only campaigns run. Plain accesses are scheduling
 * points and must not race (`racy` says which may), unless the exploration says `plainData: false`.
 *
 * Modules have names: 'completion' is one of shared/, 'mm/shrinker' one of src/mm,
 * 'kthreads/kshrinkd' one of kthreads/.
 *
 * A plant is { says, module, edits, variant, options }: each of the edits [text, becomes] must fit
 * the built module exactly once. An edited module, and those that import it, are loaded as data:
 * URLs; all others are the ones that everybody uses. A plant with `twin` is made by the scenario.
 * Where much imports much (`copied`), a plant is a copy of all modules in a folder of its own.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { ArenaBuilder } from '../../dist/shared/arena.js';

const BUILT = new URL('../../dist/', import.meta.url);
const IMPORT = /(from |import )["'](\.\.?\/[\w./]+\.js)["']/g;
const SOURCE_MAP = /\/\/# sourceMappingURL=.*/;

/** How every scenario of this folder is explored, unless a caller says otherwise. */
const BASE = { strategy: 'dfs', maxSteps: 20_000, seconds: 120 };

/** The URL of a module's file. @param name as a scenario says it */
function fileOf(name) {
  const path = name.startsWith('mm/')
    ? `src/${name}`
    : name.startsWith('kthreads/')
      ? name
      : `shared/${name}`;
  return new URL(`${path}.js`, BUILT).href;
}

function edited(source, plant) {
  return plant.edits.reduce((text, [part, becomes]) => {
    const parts = text.split(part);
    if (parts.length !== 2) {
      throw new Error(`${plant.module}.js has '${part}' ${parts.length - 1} times`);
    }
    return parts.join(becomes);
  }, source);
}

/** The URL to load for each module's URL, given the plant: the file's, or of the edited text. */
function urlFinder(plant) {
  const known = new Map();
  const target = fileOf(plant.module);
  const find = (url) => {
    const seen = known.get(url);
    if (seen !== undefined) return seen;
    known.set(url, url);
    const source = readFileSync(new URL(url), 'utf8');
    let differs = url === target;
    const text = (differs ? edited(source, plant) : source).replace(IMPORT, (_, verb, path) => {
      const imported = find(new URL(path, url).href);
      differs ||= imported.startsWith('data:');
      return `${verb}'${imported}'`;
    });
    if (differs) {
      const name = url.slice(BUILT.href.length);
      const named = text.replace(SOURCE_MAP, `//# sourceURL=planted/${name}`);
      known.set(url, `data:text/javascript;base64,${Buffer.from(named).toString('base64')}`);
    }
    return known.get(url);
  };
  return (name) => find(fileOf(name));
}

/** Folders have their process's number: it removes them at its end, or the next one does. */
const FOLDERS = /^kreclaim-subject-(\d+)-/;
const folderName = (rest) => `kreclaim-subject-${process.pid}-${rest}`;

function gone(pid) {
  try {
    return pid !== process.pid && !process.kill(pid, 0);
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Removes folders. @param which of their processes' numbers */
function removeFolders(which) {
  for (const entry of readdirSync(tmpdir())) {
    const pid = FOLDERS.exec(entry)?.[1];
    if (pid === undefined || !which(Number(pid))) continue;
    rmSync(join(tmpdir(), entry), { recursive: true, force: true });
  }
}

if (isMainThread) process.on('exit', () => removeFolders((pid) => pid === process.pid));

/** Makes a folder on the host for this process's explorations. @returns its path */
export function newFolder() {
  removeFolders(gone);
  return mkdtempSync(join(tmpdir(), folderName('')));
}

/** As urlFinder, by a copy of all modules. */
function copyFinder(name, plant) {
  const root = join(tmpdir(), folderName(`${plant.module.replace('/', '-')}-${name}`));
  const found = (module) => fileOf(module).replace(BUILT.href, `${pathToFileURL(root).href}/dist/`);
  if (existsSync(root)) return found;
  const making = newFolder();
  writeFileSync(join(making, 'package.json'), '{"type":"module"}');
  symlinkSync(fileURLToPath(new URL('../node_modules', BUILT)), join(making, 'node_modules'));
  for (const part of ['shared', 'src/mm', 'kthreads']) {
    const options = { recursive: true, filter: (path) => !/\.(map|d\.ts|tsbuildinfo)$/.test(path) };
    cpSync(new URL(part, BUILT), join(making, 'dist', part), options);
  }
  const file = fileURLToPath(fileOf(plant.module)).replace(fileURLToPath(BUILT), `${making}/dist/`);
  writeFileSync(file, edited(readFileSync(file, 'utf8'), plant));
  try {
    renameSync(making, root);
  } catch {
    // Another thread of the exploration was faster.
    rmSync(making, { recursive: true });
  }
  return found;
}

/** Refuses a part of the scenario's URL. */
function unknown(what, name, known) {
  throw new Error(`no ${what} '${name}'; known are ${known.join(', ')}`);
}

/**
 * @param url of the scenario: `?variant=` and `?plant=` choose
 * @param plants by name
 * @param copied a plant is a copy of all modules
 * @returns `load`, which imports a module; `begin`, with which every thread function
 * begins: it forgets what module state of the substrate an earlier execution left behind;
 * `choose`, which finds the variant
 */
export async function openSubject(url, plants = {}, copied = false) {
  const query = new URL(url).searchParams;
  for (const key of query.keys()) {
    if (key !== 'plant' && key !== 'variant') unknown('key', key, ['variant', 'plant']);
  }
  const name = query.get('plant');
  const plant = name === null ? null : plants[name];
  if (plant === undefined) unknown('plant', name, Object.keys(plants));
  const finder = (edit) => (copied ? copyFinder(name, edit) : urlFinder(edit));
  const find = plant === null || plant.twin ? fileOf : finder(plant);
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
    choose: ({ variants: suite, more = {}, plainData = true, include }) => {
      const variants = { ...suite, ...more };
      const variant = query.get('variant') ?? plant?.variant ?? Object.keys(variants)[0];
      if (variants[variant] === undefined) unknown('variant', variant, Object.keys(variants));
      const { setup, threads, check, preemptions, reduction, timeouts } = variants[variant];
      // Edited modules are not instrumented: where data is plain, nothing may be left out then.
      const race = plant === null && plainData;
      const bound = { preemptions, timeouts, reduction: race ? true : reduction };
      return {
        setup,
        threads,
        check,
        options: { ...BASE, race, include, ...bound, ...plant?.options },
      };
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
