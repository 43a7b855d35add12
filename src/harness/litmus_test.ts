// SPDX-License-Identifier: MIT
/**
 * A litmus test: a few threads of a few memory accesses each, and the outcomes that a memory model
 * allows them. How one is written:
 *
 *   // sb.litmus.js: can both threads miss the other's store?
 *   export const registers = 2;
 *   export function left(m, x, gap, out, at) {
 *     Atomics.store(m, x, 1);
 *     out[at] = Atomics.load(m, x + gap);
 *   }
 *   export function right(m, x, gap, out, at) {
 *     Atomics.store(m, x + gap, 1);
 *     out[at + 1] = Atomics.load(m, x);
 *   }
 *
 *   await litmus(new URL('./sb.litmus.js', import.meta.url), { seconds: 1 });
 *
 * `m` is shared memory, an Int32Array unless `view` makes something else of it. Cell k of the
 * test's instance is `m[x + k * gap]`, 0 at the start: where cells lie, on one line or far apart,
 * changes from batch to batch. Register k is `out[at + k]`; each is written by one thread. A thread
 * function must not keep anything between calls. `observe(m, x, gap, out, at)`, if there is one,
 * runs when all threads of the instance are through, and fills registers with final values.
 *
 * An outcome is the registers as text: '0 1'. Which ones the ECMAScript memory model allows is
 * found out (litmus_model.ts), and what of that no interleaving of the accesses gives is
 * `interesting`. Where the model does not reach, with a `view` of one's own, or wait and notify,
 * the test lists `allowed` and `interesting` ones. Every other one is forbidden, and seen once is a
 * failure.
 */
import type { I32 } from '../../shared/types.ts';

/** Threads, cells, registers that a test may have. */
export const LITMUS_THREADS_MAX = 8;
export const LITMUS_CELLS_MAX = 8;
export const LITMUS_REGISTERS_MAX = 7;

/** What one thread does to one instance. */
export type LitmusThread<M = I32> = (
  m: M,
  x: number,
  gap: number,
  out: Int32Array,
  at: number,
) => void;

/** A test. Everything but the threads has a default. */
export interface LitmusTest<M = I32> {
  readonly name?: string;
  /** What it asks, in one line. */
  readonly question?: string;
  /** Shared cells of an instance, 1 .. LITMUS_CELLS_MAX. Default 2. */
  readonly cells?: number;
  /** Bytes of a cell, a power of two in 4 .. 64. Default 8. */
  readonly cellBytes?: number;
  /** Numbers that make an outcome, 1 .. LITMUS_REGISTERS_MAX. Default 2. */
  readonly registers?: number;
  readonly threads: readonly LitmusThread<M>[];
  /** Runs after the threads, alone. */
  readonly observe?: LitmusThread<M>;
  /**
   * Makes what the threads get as `m`. `x` and `gap` count its BYTES_PER_ELEMENT, or bytes where it
   * has none. Default: an Int32Array.
   */
  readonly view?: (buffer: SharedArrayBuffer) => M;
  /** Instances that run between two barriers. Default: up to 2048, changing. */
  readonly batch?: number;
  readonly allowed?: readonly string[];
  /** Allowed too: what the model permits and a reader may not expect. */
  readonly interesting?: readonly string[];
  /** Shown in the table although never seen. What is in no list is forbidden as well. */
  readonly forbidden?: readonly string[];
}

/** A test of any view. */
export interface AnyLitmusTest extends Omit<LitmusTest<never>, 'view'> {
  readonly view?: (buffer: SharedArrayBuffer) => unknown;
}

/** The file or the definition is not a litmus test. */
export class LitmusUsageError extends Error {
  override readonly name = 'LitmusUsageError';
}

const SETTINGS = [
  'name',
  'question',
  'cells',
  'cellBytes',
  'registers',
  'threads',
  'observe',
  'view',
  'batch',
  'allowed',
  'interesting',
  'forbidden',
  'tests',
] as const;

function wrong(what: string): never {
  throw new LitmusUsageError(what);
}

function checkInteger(test: AnyLitmusTest, key: 'cells' | 'registers' | 'batch', max: number) {
  const value = test[key];
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= max)) return;
  wrong(`${test.name}: ${key} is ${String(value)}; give an integer in 1..${max}`);
}

/** @throws LitmusUsageError for what is not a test, in one line */
export function checkLitmusTest(test: AnyLitmusTest): void {
  const { threads } = test;
  const isList = Array.isArray(threads) && threads.every((one) => typeof one === 'function');
  if (!isList || threads.length < 1 || threads.length > LITMUS_THREADS_MAX) {
    wrong(`${test.name}: give 1..${LITMUS_THREADS_MAX} thread functions`);
  }
  checkInteger(test, 'cells', LITMUS_CELLS_MAX);
  checkInteger(test, 'registers', LITMUS_REGISTERS_MAX);
  checkInteger(test, 'batch', LITMUS_BATCH_MAX);
  const bytes = test.cellBytes ?? 8;
  if (![4, 8, 16, 32, 64].includes(bytes)) wrong(`${test.name}: cellBytes is ${bytes}`);
  for (const key of ['allowed', 'interesting', 'forbidden'] as const) {
    for (const outcome of test[key] ?? []) checkOutcome(test, key, outcome);
  }
}

function checkOutcome(test: AnyLitmusTest, key: string, outcome: unknown): void {
  const registers = test.registers ?? 2;
  const parts = typeof outcome === 'string' ? outcome.split(' ') : [];
  if (parts.length === registers && parts.every((part) => /^-?\d+$/.test(part))) return;
  wrong(`${test.name}: ${key} has '${String(outcome)}'; an outcome is ${registers} integers`);
}

/** Most instances of a batch. A power of two. */
export const LITMUS_BATCH_MAX = 2048;

/**
 * The test in a module: its list `tests` (`which` names one), or its exports taken together, the
 * threads then being the exported functions in name order.
 * @throws LitmusUsageError where there is none
 */
export function litmusOfModule(
  module: Readonly<Record<string, unknown>>,
  file: string,
  which: string | undefined,
): AnyLitmusTest {
  const tests = module.tests as readonly AnyLitmusTest[] | undefined;
  if (tests !== undefined) {
    const found = tests.find(({ name }) => name === which);
    if (found === undefined) {
      wrong(`${file}: no test '${which ?? ''}'; it has ${tests.map((t) => t.name).join(', ')}`);
    }
    return found;
  }
  const threads = Object.keys(module)
    .filter((key) => typeof module[key] === 'function')
    .filter((key) => !SETTINGS.some((setting) => setting === key))
    .sort()
    .map((key) => module[key] as LitmusThread);
  if (threads.length === 0 && module.threads === undefined) {
    wrong(`${file}: exports no thread function`);
  }
  const name = file.replace(/^.*\//, '').replace(/(\.litmus)?\.\w+$/, '');
  return { name, threads, ...module } as AnyLitmusTest;
}
