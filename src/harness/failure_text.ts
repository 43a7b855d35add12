// SPDX-License-Identifier: MIT
/** A failure as text: what failed, who stands where, how it came about, how to see it again. */
import type { ExploreFailure } from './explore_report.ts';
import { listingLines } from './listing_text.ts';
import { shownPath, shownStack } from './stack_frames.ts';

/** Frames of a thread's stack that are shown, at most. */
const FRAMES_MAX = 8;

type Parts = Omit<ExploreFailure, 'text'>;

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : what.endsWith('ch') ? 'es' : 's'}`;
}

function threadLines(failure: Parts): string[] {
  if (failure.threads.every((thread) => thread.state === 'ended')) return ['  all have ended'];
  const lines: string[] = [];
  for (const thread of failure.threads) {
    lines.push(`  ${thread.name} ${thread.doing}`);
    // Above already.
    if (thread.state === 'threw' && failure.stack.length > 0) continue;
    const frames = thread.frames.slice(0, FRAMES_MAX);
    for (const frame of shownStack(frames)) lines.push(`      ${frame}`);
  }
  return lines;
}

function howText({ kind, steps, switches, found, strategy, seed }: Parts): string {
  const now = `${plural(steps, 'step')}, ${plural(switches, 'context switch')}`;
  const origin = `found by ${strategy}, seed ${seed}`;
  if (kind === 'step bound') return `the first steps; ${origin}`;
  if (found.steps === steps && found.switches === switches) return `${now}; ${origin}`;
  const then = `${plural(found.steps, 'step')}, ${plural(found.switches, 'switch')}`;
  return `${now}; ${origin}, with ${then}`;
}

const DEPENDS =
  'the same schedule does not fail again: the scenario depends on something else than its ' +
  'schedule and its shared memory (module state, files, real time, a promise ...)';

/** @param scenario absolute path @param names of the threads */
export function failureText(failure: Parts, scenario: string, names: readonly string[]): string {
  const lines = [`${shownPath(scenario)}: ${failure.title}`];
  for (const frame of failure.stack.slice(0, FRAMES_MAX)) lines.push(`    ${frame}`);
  for (const fact of failure.facts) lines.push(`  ${fact}`);
  if (!failure.reproducible) lines.push(`  ${DEPENDS}`);
  lines.push('', 'threads:', ...threadLines(failure), '', howText(failure));
  lines.push(...listingLines(failure.listing, names, scenario), '');
  if (failure.replayLine !== null) lines.push(`replay: ${failure.replayLine}`);
  else if (failure.reproducible) lines.push('no replay file was asked for');
  return lines.join('\n');
}
