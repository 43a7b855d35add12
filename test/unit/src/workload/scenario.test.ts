// SPDX-License-Identifier: GPL-2.0-only
/** Scenarios as plans: options in, a workload and a machine out, without running one. */
import { describe, expect, it } from 'vitest';
import { resolveMachine } from '../../../../dist/src/config.js';
import { UsageError } from '../../../../dist/src/errors.js';
import type { MachineConfig, Workload } from '../../../../dist/src/index.js';
import {
  addFigure,
  makeFigures,
  sumFigure,
  sumFigures,
} from '../../../../dist/src/workload/figures.js';
import { planScenario, scenarioNames } from '../../../../dist/src/workload/scenario.js';

describe('figures', () => {
  it('are summed over CPUs, with rates of what is timed', () => {
    const figures = makeFigures(['loops', 'loopsNs', 'refused'], 2);
    addFigure(figures, 0, 'loops', 10);
    addFigure(figures, 0, 'loopsNs', 1e9);
    addFigure(figures, 1, 'loops', 30);
    addFigure(figures, 1, 'loopsNs', 2e9);
    addFigure(figures, 1, 'refused', 1);
    expect(sumFigure(figures, 'loops')).toBe(40);
    expect(sumFigures(figures)).toEqual({ loops: 40, loopsPerSec: 25, refused: 1 });
  });
});

const resolve = (config: MachineConfig, { processes, programs, groups }: Workload) =>
  resolveMachine(config, processes, programs, groups);

describe('plans', () => {
  it.each(scenarioNames())('%s makes a machine that fits', (name) => {
    const { config, workload } = planScenario(name, { events: 1000 });
    // churn needs one for each of its parts.
    expect(resolve(config, workload).mm.cpus).toBe(name === 'churn' ? 4 : 2);
    const four = planScenario(name, { events: 1000, config: { cpus: 4 } });
    expect(resolve(four.config, four.workload).mm.cpus).toBe(4);
  });

  it("memcg-tmpfs: the seed's size fits in the tables", () => {
    const options = { memcgs: '4000', mounts: '4000', touch: '3000', fileSize: '1M' };
    const { config, workload } = planScenario('memcg-tmpfs', { options });
    const { mm, footprintPages } = resolveMachine(config, workload.processes);
    expect(footprintPages).toBe(3000 * 256);
    expect(mm.memcgs[1]?.maxPages).toBe(Math.floor(1.33 * footprintPages));
    expect(mm.memcgsMax).toBeGreaterThan(4000);
    expect(mm.shrinkersMax).toBeGreaterThan(4000);
    expect(mm.superBlocksMax).toBeGreaterThan(4000);
    expect(mm.dentriesMax).toBeGreaterThan(4000 + 3000);
    expect(workload.scenario?.options).toMatchObject({ memcgs: 4000, touch: 3000, leave: false });
  });

  it('memcg-tmpfs: where the group is limited, the node has room', () => {
    const { config } = planScenario('memcg-tmpfs', { config: { memcgMax: '50%' } });
    expect(config).toMatchObject({ memory: '200%', memcgMax: '50%' });
  });

  it('what the configuration says stands', () => {
    const { config } = planScenario('memcg-tmpfs', { config: { memory: '20%', mountsMax: 700 } });
    expect(config).toMatchObject({ memory: '20%', mountsMax: 700, memcgMax: '133%' });
  });

  it.each([
    ['nothing', {}, /^scenario 'nothing' is not known; known are quick, memcg-tmpfs, mount-loop/],
    ['quick', { memcgs: 1 }, /^--memcgs: not an option of scenario quick, which takes no options/],
    ['memcg-tmpfs', { loops: 1 }, /^--loops: not an option .* takes --memcgs, --mounts, --touch/],
    ['memcg-tmpfs', { memcgs: '0' }, /^--memcgs: '0' will not do; give an integer in 1\.\./],
    ['memcg-tmpfs', { mounts: '3', touch: '4' }, /^--touch: '4' will not do; .* in 0\.\.3/],
    ['memcg-tmpfs', { fileSize: '50%' }, /^--file-size: '50%' will not do; give a size in 4K/],
    ['memcg-tmpfs', { fileSize: 'x' }, /^--file-size: 'x' will not do; give a size in 4K\.\./],
    ['memcg-tmpfs', { leave: 'yes' }, /^--leave: 'yes' will not do; takes no value/],
    ['mount-loop', { loopers: '3' }, /^--loopers: '3' will not do; give an integer in 1\.\.2/],
  ])('%s %j is refused in one line', (name, options, expected) => {
    expect(() => planScenario(name, { options })).toThrow(UsageError);
    expect(() => planScenario(name, { options })).toThrow(expected);
  });
});
