// SPDX-License-Identifier: GPL-2.0-only
/**
 * Keeps functions out of line while a profile is taken.
 *
 * Compiled code inlines small functions into their callers, and V8's profiler then charges the
 * caller: a trylock would vanish into the walk that calls it. (Only the part of it that V8 runs out
 * of line anyway, the Atomics, is still told apart.) The kernel's functions of the seed's tables
 * are out of line as well. Without inlining every call costs some nanoseconds more, so rates of
 * such a run are not for comparing with others.
 *
 * V8 takes no such flags for one worker alone: they hold for the whole process, and for code that
 * is compiled from then on. Start workers inside; code that is compiled already stays as it is.
 */
import { setFlagsFromString } from 'node:v8';

/** Both compilers that inline; the second is not in use in every version of Node. */
const FLAGS = ['turbo-inlining', 'maglev-inlining'];

let users = 0;

function setInlining(on: boolean): void {
  for (const flag of FLAGS) setFlagsFromString(on ? `--${flag}` : `--no-${flag}`);
}

/**
 * Runs something with inlining switched off.
 * @context main thread; calls may overlap
 */
export async function withoutInlining<T>(run: () => Promise<T>): Promise<T> {
  if (users++ === 0) setInlining(false);
  try {
    return await run();
  } finally {
    if (--users === 0) setInlining(true);
  }
}
