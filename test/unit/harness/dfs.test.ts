// SPDX-License-Identifier: GPL-2.0-only
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { H_OUTCOME, OUTCOME_REDUNDANT } from '../../../dist/src/harness/control.js';
import { type DfsOptions, DfsStrategy } from '../../../dist/src/harness/dfs.js';
import {
  add,
  cas,
  finalState,
  load,
  notify,
  relax,
  type SimOptions,
  type SimThread,
  Simulation,
  store,
  wait,
} from '../../helpers/schedule_sim.js';

function explore(threads: readonly SimThread[], options: DfsOptions = {}, sim: SimOptions = {}) {
  const states = new Set<string>();
  const simulation = new Simulation(threads, {
    ...sim,
    onEnd(control, memory, results) {
      if (control.words[H_OUTCOME] === OUTCOME_REDUNDANT) return;
      states.add(finalState(control, memory, results));
    },
  });
  const strategy = new DfsStrategy({ maxExecutions: 300_000, ...options });
  simulation.run(strategy);
  return { states: [...states].sort(), ...strategy.stats };
}

/** Increments that are not atomic. */
function* lostUpdate() {
  const seen = yield load(0);
  yield store(0, seen + 1);
  return seen;
}

function* ttas() {
  for (;;) {
    while ((yield load(0)) !== 0) yield relax();
    if ((yield cas(0, 0, 1)) === 0) break;
  }
  const seen = yield load(1);
  yield store(1, seen + 1);
  yield store(0, 0);
  return seen;
}

describe('tmp', () => {
  it('counts', () => {
    for (const n of [2, 3, 4]) {
      const t0 = performance.now();
      const r = explore(Array(n).fill(lostUpdate));
      console.log(
        'lost',
        n,
        r.executions,
        r.redundant,
        r.complete,
        r.states.length,
        performance.now() - t0,
      );
    }
    for (const n of [2, 3]) {
      const t0 = performance.now();
      const r = explore(Array(n).fill(ttas));
      console.log(
        'ttas',
        n,
        r.executions,
        r.redundant,
        r.complete,
        r.states.length,
        r.deepest,
        performance.now() - t0,
      );
    }
    const t0 = performance.now();
    const r = explore(Array(2).fill(ttas), { reduction: false });
    console.log(
      'ttas plain',
      2,
      r.executions,
      r.redundant,
      r.complete,
      r.states.length,
      performance.now() - t0,
    );
  });
});
