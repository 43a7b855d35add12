// SPDX-License-Identifier: GPL-2.0-only
/**
 * Loaded into every worker of a deterministic machine before anything else: patches `Atomics`, time
 * and chance, and leaves the seam through which kthreads/entry.ts joins the schedule.
 */
import { setSchedulerSeam } from '../../shared/sched_hook.ts';
import type { ControlBuffers } from '../harness/control.ts';
import { patchAtomics } from '../harness/patch.ts';
import { patchTime } from '../harness/patch_time.ts';
import { joinControlled, leaveControlled } from '../harness/join.ts';

patchAtomics();
patchTime();

/** What every thread is given to join: the block, and the memory whose words have addresses. */
export interface ScheduleData {
  readonly control: ControlBuffers;
  readonly memory: SharedArrayBuffer;
}

setSchedulerSeam({
  join(data: unknown, row: number): void {
    const { control, memory } = data as ScheduleData;
    joinControlled(control, row, [memory]);
  },
  leave: leaveControlled,
});
