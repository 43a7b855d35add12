// SPDX-License-Identifier: GPL-2.0-only
/**
 * A sampling profile of the calling worker, by the inspector's profiler: perf record for one
 * thread.
 *
 * V8 starts a thread of its own beside the worker, which interrupts it every interval and walks its
 * stack, so nothing has to be woven into the code, and the worker's event loop need not turn. The
 * inspector answers `post` before it returns when the session is the worker's own.
 *
 * A worker that sleeps in Atomics.wait is sampled too: src/profile/ tells those samples apart.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { bug } from '../shared/assert.ts';
import { PROFILE_INTERVAL_US, type ThreadProfileSpec } from './engine.ts';

/** A function on the stack, once for each way to it. */
export interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    /** From 0; -1 where there is none. */
    readonly lineNumber: number;
  };
  /** Samples in which it was the innermost. */
  readonly hitCount?: number;
  readonly children?: readonly number[];
  /** Where those samples were; lines from 1. */
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
}

/** What a .cpuprofile file holds, as far as it is read here. The first node is the root. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** In us. */
  readonly startTime: number;
  readonly endTime: number;
}

let session: Session | null = null;

function post(method: string, params: object = {}): unknown {
  let answer: unknown;
  let answered = false;
  (session as Session).post(method, params, (error, result) => {
    if (error !== null) bug(`${method}: ${error.message}`);
    answer = result;
    answered = true;
  });
  if (!answered) bug(`${method}: no answer from this worker's own inspector`);
  return answer;
}

/**
 * Starts to sample the calling worker. One profile at a time.
 * @param intervalUs time between samples, 50 .. 1,000,000 us
 * @throws BugError when a profile runs already, or there is no inspector in this build of Node
 * @context any worker; allocates; holds no lock
 */
export function startProfile(intervalUs = PROFILE_INTERVAL_US): void {
  if (session !== null) bug('a profile runs already');
  if (!(intervalUs >= 50 && intervalUs <= 1e6)) bug(`a sampling interval of ${intervalUs} us`);
  session = new Session();
  session.connect();
  post('Profiler.enable');
  post('Profiler.setSamplingInterval', { interval: intervalUs });
  post('Profiler.start');
}

/**
 * Ends the profile.
 * @returns what was sampled; null when none runs
 * @context the worker that started it; takes milliseconds
 */
export function stopProfile(): CpuProfile | null {
  if (session === null) return null;
  try {
    return (post('Profiler.stop') as { profile: CpuProfile }).profile;
  } finally {
    session.disconnect();
    session = null;
  }
}

/**
 * Ends the profile and writes it to its folder.
 * @returns false when none ran, or it could not be written: a thread never ends for its profile
 * @context a thread at its end, after a panic too
 */
export function saveProfile(spec: ThreadProfileSpec, comm: string): boolean {
  try {
    const profile = stopProfile();
    if (profile === null) return false;
    writeFileSync(join(spec.dir, `${comm}.cpuprofile`), JSON.stringify(profile));
    return true;
  } catch {
    return false;
  }
}
