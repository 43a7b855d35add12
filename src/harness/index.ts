// SPDX-License-Identifier: MIT
/**
 * `kreclaim/harness`: exploring, racing and replaying code that shares memory. `explore`
 * is there; `torture` and `litmus` have their names and their place, and say that they are not.
 */

export { ScenarioError } from './errors.ts';
export { explore, exploreReport, ScenarioFailure } from './explore.ts';
export {
  type ExploreOptions,
  type ScenarioOptions,
  STRATEGIES,
  type StrategyName,
} from './explore_options.ts';
export {
  type ExploreFailure,
  type ExploreReport,
  grouped,
  summaryText,
} from './explore_report.ts';
export type { ThreadContext } from './scenario.ts';

/** What was called is not in this version yet. */
export class NotYetError extends Error {
  override readonly name = 'NotYetError';
}

function notYet(what: string): never {
  throw new NotYetError(`${what} is not in this version yet`);
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
