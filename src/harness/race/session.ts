// SPDX-License-Identifier: MIT
/**
 * Race detection in one thread, as the rest of the harness uses it:
 *
 *   installRace()          before any module of the user loads: instrumented code finds its helpers
 *   attachRace(...)        once the shared buffers have their addresses
 *   enterRace, leaveRace   round the thread's function: what is outside is not looked at
 *   raceStep, raceAtomic   from the scheduler and the patched Atomics, at each step
 *   resetRace()            before each execution, by one thread
 */
import type { FastTrack as Detector } from './fasttrack.ts';
import { FastTrack } from './fasttrack.ts';
import { patchViews } from './patch_views.ts';
import { call, forgetViews, probe, read, Site, takeCall, write } from './probe.ts';
import { SITE_BITS } from './race_list.ts';
import { type RaceBuffers, RaceMemory } from './race_memory.ts';
import { RUNTIME_KEY } from './runtime_key.ts';
import { Shadow } from './shadow.ts';
import { SITE_ROW, SiteTable } from './site_table.ts';
import { looseTarget, strictTarget } from './target.ts';

/** A module that was loaded, and its sites. */
interface LoadedModule {
  readonly url: string;
  readonly table: readonly number[];
  readonly racy: readonly (readonly [number, string])[];
  readonly sites: readonly Site[];
}

/** Modules of this thread, in the order of loading. */
const modules: LoadedModule[] = [];

/** Gives the sites of a module their words. */
function nameSites(module: LoadedModule, names: SiteTable): void {
  const first = names.module(module.url, module.table);
  if (first === 0) return;
  module.sites.forEach((site, i) => {
    site.word = first + i;
  });
  for (const [index, reason] of module.racy) {
    const site = module.sites[index] as Site;
    site.word = (first + index) | (names.reason(reason) << SITE_BITS);
  }
}

function loadModule(
  url: string,
  rows: readonly number[],
  racy: readonly (readonly [number, string])[],
): object {
  const sites = Array.from({ length: rows.length / SITE_ROW }, () => new Site());
  const module = { url, table: rows, racy, sites };
  modules.push(module);
  if (probe.names !== null) nameSites(module, probe.names);
  return { r: read, w: write, t: strictTarget, l: looseTarget, a: call, s: sites };
}

/** Lets instrumented modules load, and looks at the methods of views. @context once per thread */
export function installRace(): void {
  const key = Symbol.for(RUNTIME_KEY);
  if (key in globalThis) return;
  Object.defineProperty(globalThis, key, { value: { module: loadModule } });
  patchViews();
}

/**
 * Makes the buffers of a detector.
 * @param span addresses are below it @param threads 1 .. RACE_THREADS_MAX
 * @throws RangeError when the shadow would be too large, or there are too many threads
 */
export function createRaceBuffers(span: number, threads: number): RaceBuffers {
  return {
    words: RaceMemory.allocate(span),
    shadow: Shadow.allocate(span, threads),
    names: SiteTable.allocate(),
    span,
    threads,
  };
}

/**
 * Binds this thread to a detector.
 * @param point called before each plain access, where those are scheduling points; null where not
 */
export function attachRace(
  buffers: RaceBuffers,
  thread: number,
  point: ((kind: number, address: number, bytes: number) => void) | null,
): Detector {
  const detector = new FastTrack(buffers, thread);
  const names = new SiteTable(buffers.names);
  probe.names = names;
  probe.detector = detector;
  probe.clock = detector.clock;
  probe.point = point;
  forgetViews();
  for (const module of modules) {
    nameSites(module, names);
    for (const site of module.sites) {
      site.view = null;
      site.seen = null;
      site.known = null;
      site.skip = null;
    }
  }
  return detector;
}

/** Begins an execution. @context no thread of it runs */
export function resetRace(): void {
  probe.detector?.reset();
}

/** From here on this thread's accesses are looked at. @param step of the execution */
export function enterRace(step: number): void {
  const { detector } = probe;
  if (detector === null) return;
  detector.step(step);
  probe.epoch = fastEpoch(detector);
  probe.call = 0;
  probe.racy = 0;
  probe.active = true;
}

/** The thread's function has ended. */
export function leaveRace(): void {
  probe.active = false;
  probe.epoch = 0;
}

/** What runs now is not of the thread's function, or is again. */
export function pauseRace(on: boolean): void {
  if (on) {
    if (pauses++ === 0) wasActive = probe.active;
    leaveRace();
  } else if (--pauses === 0 && wasActive) {
    probe.epoch = fastEpoch(probe.detector as Detector);
    probe.active = true;
  }
}

let pauses = 0;
let wasActive = false;

/** What cells are compared with on the fast path: nothing, where every access is a point. */
function fastEpoch(detector: Detector): number {
  return probe.point === null ? detector.epoch : -1;
}

/** A step of this thread begins. @context it has the baton */
export function raceStep(step: number): void {
  const detector = probe.detector as Detector;
  detector.step(step);
  probe.epoch = fastEpoch(detector);
}

/** This thread executed an operation of Atomics; see `FastTrack.onAtomic`. */
export function raceAtomic(
  kind: number,
  address: number,
  bytes: number,
  wrote: boolean,
  step: number,
): void {
  const detector = probe.detector as Detector;
  detector.onAtomic(kind, address, bytes, wrote, takeCall() | probe.racy, step);
  probe.epoch = fastEpoch(detector);
}
