// SPDX-License-Identifier: GPL-2.0-only
/**
 * The deterministic campaign: a range of seeds over traces, sizes of memory, CPUs and devices, with
 * fault injection. Every run must end with no panic, no mismatch and no violation. The seed chooses
 * the setting as well as the schedule; each failure is printed with the line that replays it, and
 * the campaign goes on.
 *
 *   node scripts/seeds_campaign.mjs [TRACE ...]   traces (default: the bundled ones)
 *     --seeds 1..2000   the range
 *     --jobs N          machines at once (default: one on each core)
 *     --events N        first N events of each trace (default: 20000)
 *     --json FILE       writes a summary
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { replayLine } from '../dist/src/cli/replay_line.js';
import { parseJobs, parseSeeds } from '../dist/src/cli/seeds_action.js';
import { SeedPool } from '../dist/src/deterministic/seed_pool.js';
import { runSeeds } from '../dist/src/deterministic/seeds.js';
import { MODEST_FAULTS } from '../dist/src/mm/faults.js';
import { readTrace } from '../dist/src/workload/trace.js';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '1..2000' },
    jobs: { type: 'string' },
    events: { type: 'string', default: '20000' },
    json: { type: 'string' },
  },
});

const bundled = fileURLToPath(new URL('../traces/', import.meta.url));
const files =
  positionals.length > 0
    ? positionals
    : readdirSync(bundled)
        .filter((name) => name.endsWith('.ftrc.gz'))
        .sort()
        .map((name) => `${bundled}${name}`);

/** Settings that the range goes through, as options of the command line and of the library. */
const SETTINGS = [
  ['--memory', '50%', { memory: '50%' }],
  ['--memory', '25%', { memory: '25%' }],
  ['--memory', '75%', { memory: '75%' }],
  ['--memcg-max', '50%', { memcgMax: '50%' }],
  ['--memcg-max', '30%', { memcgMax: '30%' }],
];

function setting(index) {
  const [name, value, size] = SETTINGS[index % SETTINGS.length];
  const cpus = 1 + (index % 3);
  const nodes = 1 + (index % 2);
  const lockdep = index % 4 === 0;
  const config = { ...size, cpus, nodes, lockdep, share: true, faults: MODEST_FAULTS };
  const args = [name, value, '--cpus', `${cpus}`, '--nodes', `${nodes}`, '--share'];
  return { config, args: lockdep ? [...args, '--lockdep'] : args };
}

const { from, to } = parseSeeds(values.seeds);
const pool = await SeedPool.open(parseJobs(values.jobs));
/** Seeds that share a setting. */
const BLOCK = 25;
const begun = performance.now();
const total = { runs: 0, failed: 0, decisions: 0, switches: 0, pages: 0, invariants: 0 };
const faults = {};
const failures = [];

function count(report) {
  for (const run of report.runs) {
    total.runs++;
    total.decisions += run.decisions;
    total.switches += run.switches;
    total.pages += run.pagesVerified;
    total.invariants += run.invariantsChecked;
  }
  for (const [name, injected] of Object.entries(report.faults)) {
    faults[name] = (faults[name] ?? 0) + injected;
  }
}

async function block(first, last, index) {
  const file = files[index % files.length];
  const { config, args } = setting(index);
  const traces = [await readTrace(file, { limit: Number(values.events) })];
  const input = {
    config: { ...config, mode: 'deterministic' },
    traces,
    scenario: null,
    events: null,
  };
  for (let seed = first; seed <= last; ) {
    const report = await runSeeds({ from: seed, to: last, jobs: pool, input });
    count(report);
    const { failure } = report;
    if (failure === null) break;
    const line = ['run', file, '--events', values.events, ...args];
    const replay = replayLine(line, failure.seed, MODEST_FAULTS, failure.faultSeed);
    console.log(`FAIL seed ${failure.seed}: ${failure.reason}\n  ${replay}`);
    for (const detail of failure.details) console.log(`  ${detail}`);
    failures.push({ ...failure, replay });
    total.failed++;
    seed = Math.max(...report.runs.map((run) => run.seed)) + 1;
  }
}

for (let seed = from, index = 0; seed <= to; seed += BLOCK, index++) {
  await block(seed, Math.min(to, seed + BLOCK - 1), index);
  const seconds = Math.round((performance.now() - begun) / 1000);
  console.log(`${total.runs} runs, ${total.failed} failed, ${seconds} s`);
}
await pool.close();
const seconds = (performance.now() - begun) / 1000;
const summary = {
  ...total,
  seconds: Math.round(seconds),
  decisionsPerSec: Math.round(total.decisions / seconds),
  faults,
  failures,
  node: process.version,
  cores: availableParallelism(),
};
console.log(JSON.stringify({ ...summary, failures: failures.length }, null, 2));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
