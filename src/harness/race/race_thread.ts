// SPDX-License-Identifier: MIT
/**
 * Race detection in a worker of the harness: what the patched Atomics and the scheduler call, and
 * what happens when a race, or a use after free, is found: the execution ends there, with the stack
 * of the second access.
 */
import { OUTCOME_POISON, OUTCOME_RACE } from '../control.ts';
import type { LockInversion } from '../lock_order.ts';
import { OP_PLAIN_WRITE } from '../ops.ts';
import { failHere, outside, point, type RaceHooks, wrote } from '../runtime.ts';
import { lockInversions, watchLocks } from './lock_watch.ts';
import { probe } from './probe.ts';
import type { RaceBuffers } from './race_memory.ts';
import {
  DataRaceError,
  raceReport,
  raceReports,
  UseAfterFreeError,
  useReport,
} from './race_report.ts';
import type { RaceReport } from './race_text.ts';
import {
  attachRace,
  createRaceBuffers,
  enterRace,
  installRace,
  leaveRace,
  pauseRace,
  raceAtomic,
  raceStep,
  resetRace,
} from './session.ts';

export { createRaceBuffers, installRace };

/** What the lead does with races between executions. */
export interface RaceLead {
  /** Before an execution. */
  reset(): void;
  /** After it: its pairs of sites are added to those seen before. */
  collect(): void;
  /** Orders in which locks were taken that could deadlock. */
  inversions(): LockInversion[];
  /** Pairs of sites of all executions since the last call, each once. */
  take(): RaceReport[];
}

/** Binds this worker to the detector. @param plainPoints plain accesses are scheduling points */
export function startRace(buffers: RaceBuffers, thread: number, plainPoints: boolean): RaceHooks {
  const detector = attachRace(buffers, thread, plainPoints ? plainPoint : null);
  watchLocks(thread);
  detector.races.onRace = (race) => {
    const error = outside(() => withStack(() => new DataRaceError(raceReport(race))));
    failHere(OUTCOME_RACE, error);
  };
  detector.poisoned.onUse = (use) => {
    const error = outside(() => withStack(() => new UseAfterFreeError(useReport(use))));
    failHere(OUTCOME_POISON, error);
  };
  return {
    enter(step) {
      probe.locks?.reset(thread);
      enterRace(step);
    },
    leave: leaveRace,
    pause: pauseRace,
    step: raceStep,
    atomic: raceAtomic,
  };
}

/** A plain access as a step of the schedule. */
function plainPoint(kind: number, address: number, bytes: number): void {
  point(kind, address, bytes);
  if (kind === OP_PLAIN_WRITE) wrote(address, bytes);
}

/** Makes an error whose stack begins in the code under test. */
function withStack(make: () => Error): Error {
  const was = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const error = make();
  Error.stackTraceLimit = was;
  const lines = (error.stack ?? '').split('\n');
  const own = new URL('../', import.meta.url).href;
  error.stack = lines.filter((line) => !line.includes(own)).join('\n');
  return error;
}

/** The lead's part. @context after `startRace` */
export function leadRace(): RaceLead {
  let seen = new Map<string, RaceReport>();
  return {
    reset: resetRace,
    collect() {
      for (const race of raceReports()) {
        const { first, second } = race;
        const key = [first, second]
          .map(({ file, line, column }) => `${file}:${line}:${column}`)
          .sort()
          .join(' ');
        const known = seen.get(key);
        seen.set(key, known === undefined ? race : { ...known, times: known.times + race.times });
      }
    },
    inversions: lockInversions,
    take() {
      const races = [...seen.values()];
      seen = new Map();
      return races;
    },
  };
}
