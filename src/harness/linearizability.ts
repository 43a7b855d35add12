// SPDX-License-Identifier: MIT
/**
 * Is a recorded history one that some sequential order explains?
 *
 *     export const check = (_state, _results, history) =>
 *       assertLinearizable(history, queueModel());
 *
 * Linearizability composes: a history over several objects is linearizable when each object's part
 * is, so a model that names the part of each operation (the key of a map) turns one search over all
 * into many small ones. The problem itself is NP-complete: a search may not end in time. Then, and
 * when there is no order, the verdict carries the longest prefix that has one, as data.
 */
import { formatOperation, type History, type Operation } from './history.ts';
import { type Model, type Search, searchOrder } from './linear_search.ts';
import { describePrefix } from './linear_text.ts';
import { real } from './native.ts';

export type { Applied, Model } from './linear_search.ts';

/** Milliseconds that `linearizable` searches for unless told otherwise. */
export const LINEARIZABLE_TIMEOUT_MS = 10_000;

export interface LinearizableOptions {
  /** For all parts together, 1 or more. */
  readonly timeoutMs?: number;
}

/** How far the history of one part could be explained. */
export interface LinearizablePrefix {
  /** Of `model.partition`; null for a model without. */
  readonly part: string | number | null;
  /** Operations that were given a place, in their order: it gives the results recorded. */
  readonly order: History;
  /** The model's state after them. */
  readonly state: unknown;
  /** The operation that had to be next and could not; null when the time was up before. */
  readonly stuck: Operation | null;
  /** All that could have been next, with what the model would have answered. */
  readonly candidates: readonly { readonly operation: Operation; readonly answer: string }[];
}

export interface Linearizability {
  readonly verdict: 'linearizable' | 'violation' | 'timeout';
  /** True for 'linearizable' only. */
  readonly ok: boolean;
  readonly operations: number;
  readonly parts: number;
  /** Configurations (operations taken, state) that were entered. */
  readonly configurations: number;
  /** Of the part that has no order or had no time; null when the history is linearizable. */
  readonly longest: LinearizablePrefix | null;
  /** Why, for people, with a timeline; one line when the history is linearizable. */
  readonly text: string;
}

/**
 * Searches for a sequential order that explains `history`.
 * @param history of all threads; operations that have not ended may have taken effect or not
 * @param model the sequential object
 * @returns the verdict; a violation is returned, not thrown
 * @throws what the model throws
 */
export function linearizable<S>(
  history: History,
  model: Model<S>,
  options: LinearizableOptions = {},
): Linearizability {
  const deadline = real.now() + (options.timeoutMs ?? LINEARIZABLE_TIMEOUT_MS);
  const parts = split(history, model);
  const whole = { operations: history.length, parts: parts.size };
  let configurations = 0;
  let late: LinearizablePrefix | null = null;
  for (const [part, operations] of parts) {
    const search = searchOrder(operations, model, deadline);
    configurations += search.configurations;
    if (search.outcome === 'found') continue;
    const longest = prefixOf(search, model, part);
    if (search.outcome === 'none') {
      const text = describePrefix('violation', model.name, longest, search.operations);
      return { verdict: 'violation', ok: false, ...whole, configurations, longest, text };
    }
    late ??= longest;
  }
  if (late !== null) {
    const text = describePrefix('timeout', model.name, late, parts.get(late.part) as History);
    return { verdict: 'timeout', ok: false, ...whole, configurations, longest: late, text };
  }
  const text = `linearizable by the model '${model.name}': ${history.length} operations`;
  return { verdict: 'linearizable', ok: true, ...whole, configurations, longest: null, text };
}

/** What `assertLinearizable` throws; its message is the verdict's text. */
export class NotLinearizable extends Error {
  override readonly name = 'NotLinearizable';
  readonly verdict: Linearizability;

  constructor(verdict: Linearizability) {
    super(verdict.text);
    this.verdict = verdict;
  }
}

/**
 * As `linearizable`, for a scenario's `check`.
 * @returns the verdict, which is 'linearizable'
 * @throws NotLinearizable for a violation, and when the time was up
 */
export function assertLinearizable<S>(
  history: History,
  model: Model<S>,
  options: LinearizableOptions = {},
): Linearizability {
  const verdict = linearizable(history, model, options);
  if (!verdict.ok) throw new NotLinearizable(verdict);
  return verdict;
}

/** The parts of a history, in the order in which they were first used. */
function split<S>(history: History, model: Model<S>): Map<string | number | null, Operation[]> {
  const parts = new Map<string | number | null, Operation[]>();
  for (const operation of history) {
    const part = model.partition?.(operation) ?? null;
    const operations = parts.get(part);
    if (operations === undefined) parts.set(part, [operation]);
    else operations.push(operation);
  }
  return parts;
}

function prefixOf<S>(
  search: Search<S>,
  model: Model<S>,
  part: string | number | null,
): LinearizablePrefix {
  const { operations, furthest } = search;
  const taken = new Set(furthest.order);
  const stuck = operations[furthest.stuck] ?? null;
  const until = stuck?.end ?? Number.POSITIVE_INFINITY;
  const firstEnd = Math.min(
    until,
    ...operations.filter((_, index) => !taken.has(index)).map(({ end }) => end ?? until),
  );
  const candidates = operations
    .filter((operation, index) => !taken.has(index) && operation.call < firstEnd)
    .map((operation) => ({ operation, answer: answer(model, furthest.state, operation) }));
  const order = furthest.order.map((index) => operations[index] as Operation);
  return { part, order, state: furthest.state, stuck, candidates };
}

/** What the model would have said to the operation in that state. */
function answer<S>(model: Model<S>, state: S, operation: Operation): string {
  const applied = model.apply(state, operation);
  if (applied === null) return 'cannot happen then';
  if (!('result' in applied)) return 'would do, but leads nowhere';
  const { result } = applied;
  const answered = { ...operation, result, end: 0 };
  if (formatOperation(answered) === formatOperation({ ...operation, end: 0 })) {
    return 'would do, but leads nowhere';
  }
  return `the model answers ${formatOperation({ ...answered, name: '', arg: undefined }).slice(6)}`;
}
