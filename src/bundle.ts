// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bundles: all modules of a worker, or of `kreclaim run`, in one file that loads in a fifth of the
 * time. `scripts/build_bundle.mjs` makes them.
 *
 *   kthreads/bundle.js     what the workers of a machine start from, in the place of entry.js
 *   src/cli/run_bundle.js  in the place of run_command.js
 *   src/deterministic/host_bundle.js
 *                          what the host of a deterministic machine starts from, for host.js
 *   src/harness/preload_bundle.js
 *                          the schedule's preload of that host and its workers, for preload.js;
 *                          never without the host's: the two share the schedule's state
 *
 * Modules load from their own files where code of the user's comes along, which must meet the same
 * modules; where a preload changes modules as they load; under the profiler, whose tables name
 * files; and where there is no bundle that is as new as what is in it.
 */
import { readFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { EngineRef, ModuleRef, ThreadSpec } from '../kthreads/engine.ts';

/** Every module lies below this. */
const DIST = new URL('../', import.meta.url);
const ENTRY = new URL('../kthreads/entry.js', import.meta.url);
const THREADS = 'kthreads/bundle';
const RUN = 'src/cli/run_bundle';
const HOST = 'src/deterministic/host_bundle';
const PRELOADED = 'src/harness/preload_bundle';

/** What the builder says of a bundle, in the JSON file beside it: paths below DIST. */
interface Manifest {
  /** Modules that can be asked for. */
  readonly modules: readonly string[];
  /** All that is in it. */
  readonly inputs: readonly string[];
}

/** Does Node load other code than it is told to: hooks, preloads? Workers inherit these. */
const PRELOAD = /(?:^|\s)(?:--import|--require|-r|--loader|--experimental-loader)(?:[\s=]|$)/;

/** The schedule's own preloads: they patch what is global, and modules stay what they are. */
const SCHEDULE = new URL('./harness/preload.js', import.meta.url).href;
const OWN_PRELOADS = [SCHEDULE, new URL(`${PRELOADED}.js`, DIST).href];

/**
 * Flags of this thread, which workers inherit, and those that they are given.
 * @param more `execArgv` of the workers
 */
export function nodeFlags(more: readonly string[] = []): string {
  const flags = [...process.execArgv, ...more];
  const own = (flag: string | undefined): boolean => OWN_PRELOADS.includes(flag ?? '');
  const others = flags.filter((flag, i) => !own(flag) && !own(flags[i + 1]));
  return [...others, process.env.NODE_OPTIONS ?? ''].join(' ');
}

/**
 * @param dist what the package is built to @param name path of the bundle, without .js
 * @returns URLs of the modules of a bundle that is no older than what is in it; else none
 */
export function bundledModules(dist: URL, name: string): ReadonlySet<string> {
  const folder = fileURLToPath(dist);
  const modifiedMs = (path: string): number => statSync(folder + path).mtimeMs;
  try {
    const text = readFileSync(new URL(`${name}.json`, dist), 'utf8');
    const { modules, inputs } = JSON.parse(text) as Manifest;
    const madeMs = modifiedMs(`${name}.js`);
    if (inputs.some((path) => modifiedMs(path) > madeMs)) return new Set();
    return new Set(modules.map((path) => new URL(path, dist).href));
  } catch {
    // Built by the compiler alone: there is none, or of something else.
    return new Set();
  }
}

/** What workers can ask for. Read once in a process. */
let known: ReadonlySet<string> | null = null;

/** @returns true when code of the user's meets none of the package's modules in a worker */
function allBundled(
  specs: readonly ThreadSpec[],
  others: readonly ModuleRef[],
  flags: string,
): boolean {
  if (PRELOAD.test(flags)) return false;
  known ??= bundledModules(DIST, THREADS);
  const have = known;
  const refs = [...others, ...specs, ...specs.flatMap((spec) => spec.programs)];
  return refs.every(({ module }) => have.has(module));
}

/**
 * @param plain false when something is to see their files
 * @param flags Node's, that the workers inherit
 * @returns URL of the file that the workers of a machine start from
 */
export function threadEntry(
  specs: readonly ThreadSpec[],
  engine: EngineRef,
  plain: boolean,
  flags = nodeFlags(),
): URL {
  const bundled = plain && allBundled(specs, [engine, ...(engine.modules ?? [])], flags);
  return bundled ? new URL(`${THREADS}.js`, DIST) : ENTRY;
}

/** What a deterministic machine starts from: URLs. */
export interface HostFiles {
  readonly host: string;
  /** Of the host and of the workers. */
  readonly preload: string;
  /** They are the bundles: none of the user's code comes along. */
  readonly bundled: boolean;
}

/**
 * @param specs the threads of a deterministic machine
 * @param types shrinker types of the user's, which its host loads as well
 * @param flags Node's, that the host inherits
 */
export function hostFiles(
  specs: readonly ThreadSpec[],
  types: readonly ModuleRef[],
  flags = nodeFlags(),
): HostFiles {
  const plain = {
    host: new URL('./deterministic/host.js', import.meta.url).href,
    preload: SCHEDULE,
    bundled: false,
  };
  if (types.length > 0 || !allBundled(specs, [], flags)) return plain;
  if (!bundledModules(DIST, HOST).has(plain.host)) return plain;
  if (!bundledModules(DIST, PRELOADED).has(plain.preload)) return plain;
  const at = (name: string): string => new URL(`${name}.js`, DIST).href;
  return { host: at(HOST), preload: at(PRELOADED), bundled: true };
}

/**
 * @param args the command line: a configuration may name modules of the user's
 * @returns URL of the bundle to load for `kreclaim run`, null for run_command.js
 */
export function runBundle(args: readonly string[], flags = nodeFlags()): string | null {
  if (args.some((arg) => arg.startsWith('--config')) || PRELOAD.test(flags)) return null;
  const command = new URL('./cli/run_command.js', import.meta.url).href;
  return bundledModules(DIST, RUN).has(command) ? new URL(`${RUN}.js`, DIST).href : null;
}
