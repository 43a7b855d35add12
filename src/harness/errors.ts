// SPDX-License-Identifier: MIT
/** What can be wrong with the use of the harness, rather than with the code under test. */

/** A scenario that cannot be run, or a replay that does not fit it: one line that says why. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
}
