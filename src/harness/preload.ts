// SPDX-License-Identifier: MIT
/**
 * Loaded into a worker before anything else: from here on its `Atomics`, time and chance are the
 * schedule's.
 */
import { setScheduleHook } from '../../shared/schedule_hook.ts';
import { joinSchedule, leaveSchedule } from './machine_schedule.ts';
import { patchAtomics } from './patch.ts';
import { patchTime } from './patch_time.ts';

patchAtomics();
patchTime();
setScheduleHook({ join: joinSchedule, leave: leaveSchedule });
