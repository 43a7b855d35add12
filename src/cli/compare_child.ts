// SPDX-License-Identifier: GPL-2.0-only
/**
 * A child process of a comparison: one machine in a process of its own, so that no run inherits
 * another's heap, compiled code or panic. Takes a task over the channel, sends the outcome, ends.
 */
import process from 'node:process';
import type { CompareTask } from './compare_task.ts';
import { takeSignals } from './interrupt.ts';

takeSignals('run');
process.on('disconnect', () => process.exit());
process.once('message', async (task: CompareTask) => {
  const { runTask } = await import('./compare_task.ts');
  const outcome = await runTask(task);
  process.send?.(outcome, () => process.disconnect());
});
