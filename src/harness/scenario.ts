// SPDX-License-Identifier: MIT
/**
 * A scenario file: what an exploration runs.
 *
 *   setup()                      optional; makes the shared state, once (see state.ts)
 *   any other exported function  a thread: `(state, ctx) => result`, synchronous
 *   threads                      or the threads as an array, when one function runs several times
 *   check(state, results, histories)   optional; throws, or returns false, on a wrong end state
 *   invariant(state)             optional; the same, at every step
 *   options                      optional; defaults for `explore`
 *
 * Threads are numbered in the order of `threads`, else by name. They must not keep anything in
 * module state: a worker runs its thread again and again, and only memory is put back in between.
 */
import { ScenarioError } from './errors.ts';

/** What a thread function gets beside the state. */
export interface ThreadContext {
  /** 0 .. threads-1 */
  readonly id: number;
  /** Threads of the execution. */
  readonly threads: number;
  /** @returns a number in [0, 1) from the execution's seed */
  random(): number;
  /**
   * Records an operation for a history: see linearizability.ts.
   * @returns what `fn` returns
   */
  record<T>(operation: string, argument: unknown, fn: () => T): T;
}

export type ThreadFunction = (state: unknown, context: ThreadContext) => unknown;

export interface Scenario {
  readonly setup: (() => unknown) | null;
  readonly threads: readonly { readonly name: string; readonly fn: ThreadFunction }[];
  readonly check:
    | ((state: unknown, results: readonly unknown[], history: readonly unknown[]) => unknown)
    | null;
  readonly invariant: ((state: unknown) => unknown) | null;
  readonly options: Readonly<Record<string, unknown>>;
}

const RESERVED = new Set(['setup', 'check', 'invariant', 'options', 'threads', 'default']);

function isAsync(fn: unknown): boolean {
  const kind = Object.prototype.toString.call(fn);
  return /Async|Generator/.test(kind);
}

function optional<T>(module: Record<string, unknown>, name: string, file: string): T | null {
  const value = module[name];
  if (value === undefined) return null;
  if (typeof value !== 'function') throw new ScenarioError(`${file}: ${name} is not a function`);
  if (isAsync(value)) throw new ScenarioError(`${file}: ${name} is async; it must be synchronous`);
  return value as T;
}

function threadList(
  module: Record<string, unknown>,
  file: string,
): { name: string; fn: ThreadFunction }[] {
  const { threads } = module;
  const named =
    threads === undefined
      ? Object.entries(module).filter(([name, v]) => !RESERVED.has(name) && typeof v === 'function')
      : (Array.isArray(threads) ? threads : [threads]).map((fn, i): [string, unknown] => [
          typeof fn === 'function' && fn.name !== '' ? fn.name : `threads[${i}]`,
          fn,
        ]);
  const seen = new Map<string, number>();
  return named.map(([name, fn]) => {
    if (typeof fn !== 'function') throw new ScenarioError(`${file}: ${name} is not a function`);
    if (isAsync(fn)) {
      throw new ScenarioError(`${file}: thread ${name} is async; thread functions are synchronous`);
    }
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return { name: times === 1 ? name : `${name}#${times}`, fn: fn as ThreadFunction };
  });
}

/**
 * Reads a scenario from the exports of its module.
 * @param file as messages name it
 * @param threadsMax threads that the caller can run
 * @throws ScenarioError when there is no scenario in it
 */
export function readScenario(
  module: Record<string, unknown>,
  file: string,
  threadsMax: number,
): Scenario {
  const threads = threadList(module, file);
  if (threads.length < 2) {
    const found = threads.length === 0 ? 'no thread function' : `one thread, ${threads[0]?.name}`;
    throw new ScenarioError(`${file}: exports ${found}; a scenario has two or more`);
  }
  if (threads.length > threadsMax) {
    throw new ScenarioError(
      `${file}: has ${threads.length} threads, at most ${threadsMax} can run`,
    );
  }
  const options = module.options ?? {};
  if (typeof options !== 'object') throw new ScenarioError(`${file}: options is not an object`);
  return {
    setup: optional(module, 'setup', file),
    threads,
    check: optional(module, 'check', file),
    invariant: optional(module, 'invariant', file),
    options: options as Record<string, unknown>,
  };
}

/** Calls a scenario's test. @throws what it throws, or an Error when it returns false */
export function mustHold(name: string, test: () => unknown): void {
  if (test() === false) throw new Error(`${name} returned false`);
}
