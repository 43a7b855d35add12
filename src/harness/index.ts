// SPDX-License-Identifier: MIT
/**
 * `kreclaim/harness`: exploring, racing and replaying code that shares memory. Its three entry
 * points have their names and their place; what is behind them is not in this version yet, and they
 * say so.
 */

/** What was called is not in this version yet. */
export class NotYetError extends Error {
  override readonly name = 'NotYetError';
}

function notYet(what: string): never {
  throw new NotYetError(`${what} is not in this version yet`);
}

/** Explores the interleavings of a scenario file. @throws NotYetError always, in this version */
export function explore(_scenario: URL, _options?: object): never {
  return notYet('explore');
}

/** Runs a scenario on real threads with checkers. @throws NotYetError always, in this version */
export function torture(_scenario: URL, _options?: object): never {
  return notYet('torture');
}

/**
 * Counts the outcomes of a litmus test on real threads. @throws NotYetError always, in this version
 */
export function litmus(_scenario: URL, _options?: object): never {
  return notYet('litmus');
}

export { formatOperation, type History, mergeHistories, type Operation } from './history.ts';
export * from './linear_models.ts';
export {
  type Applied,
  type Linearizability,
  type LinearizableOptions,
  type LinearizablePrefix,
  linearizable,
  type Model,
} from './linearizability.ts';
