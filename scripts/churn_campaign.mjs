// SPDX-License-Identifier: GPL-2.0-only
/**
 * The campaign of what comes and goes: scenario churn, alone and together, in schedules with
 * injected faults and in parallel. Every run must end with no panic, no mismatch, no violation and
 * nothing left; each failure is printed with what replays it, and the campaign goes on.
 *
 *   node scripts/churn_campaign.mjs
 *     --seeds 1..100    schedules (none: leave out)
 *     --seconds N       parallel runs of about N seconds (default: none)
 *     --rounds N        so many of them, through the settings (default: 8)
 *     --loops N         loops of a schedule (default: 2)
 *     --parts LIST      only these parts, together (default: each alone, and all)
 *     --plain           no host files
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSeeds } from '../dist/src/cli/seeds_action.js';
import { planScenario } from '../dist/src/index.js';
import { MODEST_FAULTS } from '../dist/src/mm/faults.js';
import { runWorkload } from '../dist/src/run.js';
import { scriptArgs } from './script_args.mjs';

const { values } = scriptArgs(import.meta.url, {
  options: {
    seeds: { type: 'string' },
    seconds: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '8' },
    loops: { type: 'string', default: '2' },
    parts: { type: 'string' },
    plain: { type: 'boolean', default: false },
  },
});

const ALL = 'node,swap,cgroup,compact';
const EACH = ['node', 'swap', 'cgroup', 'node,compact', ALL];
const PARTS = values.parts === undefined ? EACH : [values.parts];
const MEMORY = ['70%', '50%', '90%'];
const FAULTS = [MODEST_FAULTS, 'all', null];

const total = { runs: 0, failed: 0, offlines: 0, nodeKept: 0, swapoffs: 0, swapKept: 0, groups: 0 };

async function one(label, parts, options, config) {
  const dir = values.plain ? undefined : mkdtempSync(join(tmpdir(), 'kreclaim-churn-'));
  const given = { parts, ...options, ...(dir === undefined ? {} : { dir }) };
  const plan = planScenario('churn', { options: given, config, seed: config.seed });
  const report = await runWorkload(plan.workload, plan.config);
  if (dir !== undefined) rmSync(dir, { recursive: true });
  const { integrity, panic } = report;
  const bad = panic !== null || integrity.mismatches !== 0 || integrity.violations !== 0;
  const figures = report.scenario?.figures ?? {};
  for (const name of Object.keys(total)) total[name] += figures[name] ?? 0;
  total.runs++;
  const v = report.vmstat;
  console.log(
    `${bad ? 'FAIL' : 'ok  '} ${label.padEnd(40)} ${Math.round(report.wallMs)} ms, ` +
      `loops ${figures.loops} trees ${figures.rounds} accesses ${figures.accesses} ` +
      `offline ${figures.offlines}/${figures.nodeKept} ` +
      `swapoff ${figures.swapoffs}/${figures.swapKept} groups ${figures.groups} ` +
      `migrated ${v.pgmigrate_success}/${v.pgmigrate_fail} oom ${v.oom_kill}`,
  );
  if (!bad) return;
  total.failed++;
  console.log(`  options ${JSON.stringify(given)} config ${JSON.stringify(config)}`);
  if (panic !== null) console.log(`  panic ${JSON.stringify(panic)}`);
  for (const line of integrity.details) console.log(`  ${line}`);
}

if (values.seeds !== undefined) {
  const { from, to } = parseSeeds(values.seeds);
  for (let seed = from; seed <= to; seed++) {
    const parts = PARTS[seed % PARTS.length];
    const config = {
      mode: 'deterministic',
      seed,
      cpus: 3 + (seed % 2),
      memory: MEMORY[seed % MEMORY.length],
      lockdep: seed % 4 === 0,
      kcompactd: parts.includes('compact'),
      perVmaLocks: seed % 7 < 3,
      faults: FAULTS[seed % FAULTS.length],
    };
    await one(`seed ${seed} ${parts}`, parts, { loops: Number(values.loops) }, config);
  }
}
if (Number(values.seconds) > 0) {
  for (let round = 0; round < Number(values.rounds); round++) {
    const parts = PARTS[round % PARTS.length];
    const config = {
      seed: round + 1,
      cpus: 3 + (round % 3),
      memory: MEMORY[round % MEMORY.length],
      lockdep: round % 2 === 0,
      kcompactd: parts.includes('compact'),
      perVmaLocks: round % 7 < 3,
      faults: round % 4 === 3 ? MODEST_FAULTS : null,
    };
    const options = { seconds: Number(values.seconds), scale: 4 + (round % 3) };
    await one(`parallel ${round} ${parts} ${config.cpus} CPUs`, parts, options, config);
  }
}
console.log(JSON.stringify(total));
process.exitCode = total.failed === 0 ? 0 : 1;
