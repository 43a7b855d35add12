// SPDX-License-Identifier: GPL-2.0-only
/** The OOM killer: a process that ends while it is being chosen is waited for by nobody. */
import { describe, expect, it } from 'vitest';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { MMF_OOM_VICTIM } from '../../../dist/src/mm/mm_types.js';
import { outOfMemory } from '../../../dist/src/mm/oom_kill.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootFixture, fixtureConfig } from '../../helpers/mm_fixture.js';

describe('oom_kill', () => {
  it('does not wait for a victim that had ended before the mark was set', () => {
    const [process] = fixtureConfig().processes;
    if (process === undefined) throw new Error('the fixture has a process');
    const m = bootFixture({ processes: [process, { ...process, comm: 'other' }] });
    exitMm(m, 1);
    Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
    m.task.mm = 2;
    expect(outOfMemory(m, 0)).toBe(true);
    expect(vmEvents(m).oom_kill).toBe(1);
    expect(Atomics.load(m.mm.flags, 2) & MMF_OOM_VICTIM).not.toBe(0);
  });
});
