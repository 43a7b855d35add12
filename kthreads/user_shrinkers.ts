// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinker types of the user's own: what their modules export, and how each thread installs them.
 *
 * A type is a factory, `(args) => ({ countObjects(sc), scanObjects(sc) })`. Every thread of the
 * machine calls it once at boot, and so does the main thread, which reads debugfs files; what the
 * threads are to share is a SharedArrayBuffer in `args`. What a callback returns is checked: a
 * wrong number would only show as reclaim that goes astray. One that throws stops the machine.
 */
import { BugError, bug } from '../shared/assert.ts';
import type { ShrinkerTypeConfig } from '../src/mm/config.ts';
import type { Mm } from '../src/mm/mm.ts';
import {
  registerShrinkerType,
  SHRINK_EMPTY,
  SHRINK_STOP,
  SHRINKER_TYPE_USER,
  type ShrinkControl,
} from '../src/mm/shrinker_ops.ts';
import type { LoadedProgram, ProgramRef } from './engine.ts';
import { describeHeldLocks } from './held_report.ts';
import { currentEngine, MachineStopped } from './kthread.ts';
import { loadAll } from './load_module.ts';
import { panicFromError } from './panic.ts';
import { shownValue } from './shrinker_options.ts';

/** A shrinker's callbacks. Both run in reclaim, on any thread, several at once. */
export interface UserShrinker {
  /**
   * @returns objects that could be freed, at most 2^30-1; 0 for none now, or SHRINK_EMPTY when
   *   there is none
   */
  countObjects(sc: ShrinkControl): number;
  /**
   * Frees up to `sc.nrToScan` objects; sets `sc.nrScanned` when it looked at fewer.
   * @returns objects freed, or SHRINK_STOP when it cannot go on now
   */
  scanObjects(sc: ShrinkControl): number;
}

/** What a module of `shrinkerTypes` exports. */
export type UserShrinkerFactory<Args = unknown> = (args: Args) => UserShrinker;

/** Most objects that a callback may speak of: twice as many are still an i32. */
const COUNT_MAX = 2 ** 30 - 1;
const RANGE = `0..${COUNT_MAX}`;

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= COUNT_MAX;
}

/**
 * Stops the machine because of a callback: at once, as reclaim holds locks and references on its
 * way here, which nobody would let go if the program caught the error.
 * @param stack of what the callback threw
 * @throws BugError, always
 */
function broken(m: Mm, type: ShrinkerTypeConfig, says: string, stack?: string): never {
  const error = new BugError(`shrinker type ${type.name}: ${says}`);
  if (stack !== undefined) error.stack = stack;
  // The main thread, which reads a file of a machine at rest, holds nothing.
  if (m.task.id !== 0) {
    const engine = currentEngine();
    const { id } = m.task;
    const held = describeHeldLocks(engine, id);
    panicFromError(engine.sync.threads, engine.tasks, id, 'threw', error, held);
  }
  throw error;
}

function call(
  m: Mm,
  type: ShrinkerTypeConfig,
  shrinker: UserShrinker,
  callback: keyof UserShrinker,
  sc: ShrinkControl,
): number {
  try {
    return shrinker[callback](sc);
  } catch (error) {
    if (error instanceof MachineStopped) throw error;
    if (!(error instanceof Error))
      return broken(m, type, `${callback} threw: ${shownValue(error)}`);
    return broken(m, type, `${callback} threw: ${error.message}`, error.stack);
  }
}

function checkedCount(m: Mm, type: ShrinkerTypeConfig, value: number): number {
  if (isCount(value) || value === SHRINK_EMPTY) return value;
  const shown = shownValue(value);
  return broken(m, type, `countObjects returned ${shown}; give ${RANGE} or SHRINK_EMPTY`);
}

function checkedScan(m: Mm, type: ShrinkerTypeConfig, value: number, sc: ShrinkControl): number {
  if (!isCount(value) && value !== SHRINK_STOP) {
    const shown = shownValue(value);
    broken(m, type, `scanObjects returned ${shown}; give ${RANGE} or SHRINK_STOP`);
  }
  if (!isCount(sc.nrScanned) || sc.nrScanned > sc.nrToScan) {
    broken(m, type, `scanObjects: ${shownValue(sc.nrScanned)} scanned of ${sc.nrToScan}`);
  }
  return value;
}

/** Says in an error of the user's code whose it is; the engine's own pass through as they are. */
function blame(where: string, error: unknown): never {
  if (error instanceof MachineStopped || error instanceof BugError) throw error;
  if (!(error instanceof Error)) throw new Error(`${where} threw ${shownValue(error)}`);
  if (error.name !== 'ExecutionAborted') error.message = `${where} threw: ${error.message}`;
  throw error;
}

/** Calls the user's code. @throws what it throws, with `where` in the message */
function blaming<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    return blame(where, error);
  }
}

function isShrinker(made: unknown): made is UserShrinker {
  const { countObjects, scanObjects } = (made ?? {}) as Partial<UserShrinker>;
  return typeof countObjects === 'function' && typeof scanObjects === 'function';
}

/** What every thread loads for a machine, in the order of the types. */
export function shrinkerModules(m: Mm): readonly ProgramRef[] {
  return m.config.shrinkerTypes;
}

/**
 * Makes and installs the types in this thread.
 * @param modules the factories, loaded, in the order of the configuration
 * @throws BugError when one does not make a shrinker; names its file and export
 * @context once per thread, at boot
 */
export function takeShrinkerModules(m: Mm, modules: readonly LoadedProgram[]): void {
  m.config.shrinkerTypes.forEach((type, i) => {
    const { fn, args } = modules[i] as LoadedProgram;
    const where = `shrinker type ${type.name}: `;
    const factory = `${where}its factory ${type.export} of ${type.module}`;
    const made = blaming(factory, () => (fn as unknown as UserShrinkerFactory)(args));
    if (!isShrinker(made)) {
      const need = 'an object with countObjects and scanObjects';
      bug(`${type.module}: its export ${type.export} did not return ${need}`);
    }
    registerShrinkerType(m, SHRINKER_TYPE_USER + i, {
      countObjects: (_m, sc) => checkedCount(m, type, call(m, type, made, 'countObjects', sc)),
      scanObjects: (_m, sc) => checkedScan(m, type, call(m, type, made, 'scanObjects', sc), sc),
    });
  });
}

/**
 * Loads and installs the types in a thread that is none of the machine's.
 * @throws Error that names the file and the export of the first that will not do
 * @context the main thread, once per machine; suspends
 */
export function loadShrinkerModules(m: Mm): Promise<void> {
  return loadAll(shrinkerModules(m)).then((modules) => takeShrinkerModules(m, modules));
}
