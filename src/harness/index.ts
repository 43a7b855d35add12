// SPDX-License-Identifier: MIT
/**
 * `kreclaim/harness`: code that shares memory, explored under one schedule after another
 * (`explore`), run at full speed with delays (`torture`), or looked at access by access (`litmus`).
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
export { formatOperation, type History, mergeHistories, type Operation } from './history.ts';
export * from './linear_models.ts';
export {
  type Applied,
  assertLinearizable,
  type Linearizability,
  type LinearizableOptions,
  type LinearizablePrefix,
  linearizable,
  type Model,
  NotLinearizable,
} from './linearizability.ts';
export {
  LitmusError,
  type LitmusInput,
  type LitmusOptions,
  litmus,
  litmusNames,
  litmusReport,
} from './litmus.ts';
export { catalogued, tests as litmusCatalogue } from './litmus_catalogue.ts';
export { modelOutcomes } from './litmus_model.ts';
export { type ScOutcomes, scOutcomes } from './litmus_sc.ts';
export {
  formatLitmus,
  type LitmusResult,
  type LitmusRow,
  type LitmusVerdict,
} from './litmus_table.ts';
export { type LitmusTest, type LitmusThread, LitmusUsageError } from './litmus_test.ts';
export type { LockEdge, LockInversion } from './lock_order.ts';
export {
  lockAcquired,
  lockReleased,
  poison,
  racy,
  unpoison,
} from './race/annotations.ts';
export type { AccessReport, RaceReport } from './race/race_text.ts';
export type { ThreadContext } from './scenario.ts';
export {
  formatTorture,
  TortureError,
  type TortureFailure,
  type TortureOptions,
  type TortureResult,
  torture,
  tortureReport,
} from './torture.ts';
