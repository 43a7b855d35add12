// SPDX-License-Identifier: MIT
/**
 * Joining a schedule from outside: for threads that are nobody's scenario functions, but live their
 * own life and are controlled for a part of it.
 *
 *   thread N > 0                           row 0, the host
 *   joinControlled: posts START, counts    waits until all have joined, or are given up (dropRow)
 *   itself, sleeps on its gate             joinControlled: has the baton
 *   ... runs as it is chosen               ... runs as it is chosen
 *   leaveControlled: passes the baton on   leaveControlled, last
 *
 * There is one execution. A thread that dies is dropped by who holds the baton.
 */
import { passGate } from './baton.ts';
import {
  Control,
  type ControlBuffers,
  GATE_RUN,
  H_CURRENT,
  H_GATE_SPINS,
  H_JOINED,
  H_READY,
  H_REMAIN,
  H_SEED,
  R_STATE,
  STATE_ABSENT,
  STATE_DONE,
  STATE_READY,
} from './control.ts';
import { registerBuffers } from './locate.ts';
import { memory } from './native.ts';
import { OP_START } from './ops.ts';
import { seedChance } from './patch_time.ts';
import { bindRuntime, boundScheduler, enterRun, ExecutionAborted, leaveRun } from './runtime.ts';

/** Threads that have joined so far, the host apart. @context any thread */
export function rowsJoined(control: Control): number {
  return memory.load(control.words, H_JOINED);
}

/**
 * Makes the calling thread the row's.
 * @param row 0 the host: call it when all others have joined or were dropped
 * @param buffers whose words have addresses, in the same order in every thread
 * @context blocks until the thread is chosen; its `Atomics` are patched
 */
export function joinControlled(
  buffers: ControlBuffers,
  row: number,
  memories: readonly SharedArrayBuffer[],
): void {
  const control = new Control(buffers);
  const { words } = control;
  registerBuffers(memories);
  const scheduler = bindRuntime(control, row);
  seedChance(words[H_SEED] as number, row);
  if (row === 0) {
    beginHost(control);
  } else {
    scheduler.post(row, OP_START, -1, 0);
    memory.add(words, H_JOINED, 1);
    const gate = passGate(words, row, words[H_GATE_SPINS] as number);
    if (gate !== GATE_RUN) throw new ExecutionAborted('the execution is over');
  }
  enterRun();
}

/** Makes every row that has joined ready, and the host the one that runs. */
function beginHost(control: Control): void {
  const { words, threads } = control;
  for (let thread = 0; thread < threads; thread++) {
    words[control.row(thread) + R_STATE] = STATE_READY;
  }
  words[H_READY] = threads;
  words[H_CURRENT] = 0;
  memory.store(words, H_REMAIN, threads);
}

/** Ends the calling thread's part: another goes on. */
export function leaveControlled(): void {
  leaveRun();
}

/** Gives up a row whose thread is gone, or never came. @context the holder of the baton */
export function dropRow(control: Control, row: number): void {
  const state = control.words[control.row(row) + R_STATE];
  if (state === STATE_DONE || state === STATE_ABSENT) return;
  boundScheduler().finish(row);
  memory.sub(control.words, H_REMAIN, 1);
}
