// SPDX-License-Identifier: GPL-2.0-only
/**
 * The campaign of kshrinkd and kcompressd: for each policy a range of seeds of short machines in
 * one schedule each, where a node, swap devices and groups come and go under processes that fork
 * and end, with faults: rmap locks held for long, queues that are full, compressors and devices
 * that fail. Every run must end with no panic, no mismatch, no violation and nothing left. A seed
 * that fails is printed with the line that replays it, and the campaign goes on. Ctrl-C ends the
 * machines under way; what was run until then is reported.
 *
 *   node scripts/queue_campaign.mjs
 *     --seeds 1..1000   of each policy
 *     --policy LIST     only these: head, tail, origin, prio, kshrinkd, kshrinkd-fixed, off, seed,
 *                       fixed, threads1 .. threads4 (default: all)
 *     --jobs N          machines at once (default: one on each core)
 *     --json FILE       writes a summary
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { replayLine } from '../dist/src/cli/replay_line.js';
import { parseJobs, parseSeeds } from '../dist/src/cli/seeds_action.js';
import { SeedPool } from '../dist/src/deterministic/seed_pool.js';
import { addCounts, runSeeds } from '../dist/src/deterministic/seeds.js';
import { CONTENDED_POLICIES } from '../dist/src/mm/contended.js';
import { MODEST_FAULTS } from '../dist/src/mm/faults.js';
import { KCOMPRESSD_POLICIES } from '../dist/src/mm/kcompressd_types.js';
import { machineArguments, scriptArgs } from './script_args.mjs';

const { values } = scriptArgs(import.meta.url, {
  options: {
    seeds: { type: 'string', default: '1..1000' },
    policy: { type: 'string' },
    jobs: { type: 'string' },
    json: { type: 'string' },
  },
});

/** Contention beyond what a few short processes make. */
const FAULTS = {
  ...MODEST_FAULTS,
  fail_trylock: { oneIn: 4, interval: 1, times: null },
  rmap_held: { oneIn: 4, interval: 1, times: null },
  stall: { oneIn: 6, interval: 1, times: null },
};

/** Options of the machine by policy; the other daemon is at work, too. */
const POLICIES = {
  ...Object.fromEntries(
    CONTENDED_POLICIES.map((contended) => [contended, { contended, kcompressd: 'fixed' }]),
  ),
  ...Object.fromEntries(
    KCOMPRESSD_POLICIES.map((kcompressd) => [
      kcompressd,
      { contended: kcompressd === 'seed' ? 'kshrinkd' : 'kshrinkd-fixed', kcompressd },
    ]),
  ),
  ...Object.fromEntries(
    [1, 2, 3, 4].map((kcompressdThreads) => [
      `threads${kcompressdThreads}`,
      { contended: 'kshrinkd-fixed', kcompressd: 'fixed', kcompressdThreads },
    ]),
  ),
};

/** What the blocks of a policy go through. */
const PARTS = ['node', 'swap', 'cgroup', 'node,swap,cgroup'];
/**
 * Pages swapped out between two loops, so that something is queued when a part goes: a node is
 * empty when it comes back, and has to fill.
 */
const PACE = { node: 400, swap: 64, cgroup: 64, 'node,swap,cgroup': 200 };
const LOOPS = 2;
/** What programs want, in pages for each that is there: kshrinkd and kcompressd must have work. */
const PRESSURE = [1.5, 2, 2.5];
/** Least memory of a node, in MiB, and what a scenario of scale 1 wants of it. */
const NODE_MIB = 2;
const SCALE_MIB = 0.75;
const BLOCK = 20;

function setting(policy, index) {
  const parts = PARTS[index % PARTS.length];
  const nodes = parts.includes('node') ? 2 : 1;
  const memory = NODE_MIB * nodes;
  const scale = (memory * PRESSURE[index % PRESSURE.length]) / SCALE_MIB;
  const options = { parts, loops: LOOPS, pace: PACE[parts], scale, depth: 1, width: 2 };
  const config = {
    ...{ ...POLICIES[policy], cpus: 3, memory: `${memory}M`, nodes },
    ...(Math.floor(index / 4) % 3 === 0 ? { lockdep: true } : {}),
    ...(Math.floor(index / 3) % 2 === 1 ? { perVmaLocks: true } : {}),
    ...(index % 5 === 2 ? { kcompactd: true } : {}),
    ...(index % 7 === 3 ? { swap: 'zswap' } : {}),
  };
  return { options, config };
}

const abort = new AbortController();
process.once('SIGINT', () => {
  console.log('interrupted');
  abort.abort();
});

const { from, to } = parseSeeds(values.seeds);
const jobs = parseJobs(values.jobs);
const begun = performance.now();
const results = {};
const failures = [];

function count(total, report) {
  for (const run of report.runs) {
    total.runs++;
    total.decisions += run.decisions;
    total.pages += run.pagesVerified;
    total.invariants += run.invariantsChecked;
  }
  addCounts(total.faults, report.faults);
  addCounts(total.events, report.events);
}

function note(policy, failure, { options, config }) {
  const given = machineArguments({ ...options, ...config });
  const replay = replayLine(['run', 'churn', ...given], failure.seed, FAULTS, failure.faultSeed);
  console.log(`FAIL ${policy} seed ${failure.seed}: ${failure.reason}\n  ${replay}`);
  for (const detail of failure.details) console.log(`  ${detail}`);
  failures.push({ policy, ...failure, replay });
}

/** Seeds of one setting, on after those that fail. */
async function block(policy, first, last) {
  const made = setting(policy, Math.floor((first - 1) / BLOCK));
  const config = { ...made.config, mode: 'deterministic', faults: FAULTS };
  const common = { config, options: made.options, scenario: 'churn', traces: null, events: null };
  for (let seed = first; seed <= last && !abort.signal.aborted; ) {
    const { signal } = abort;
    const report = await runSeeds({ from: seed, to: last, jobs: pool, input: common, signal });
    count(results[policy], report);
    if (report.failure === null) break;
    results[policy].failed++;
    note(policy, report.failure, made);
    seed = Math.max(...report.runs.map((run) => run.seed)) + 1;
  }
}

const wanted = values.policy?.split(',') ?? Object.keys(POLICIES);
const unknown = wanted.find((policy) => POLICIES[policy] === undefined);
if (unknown !== undefined) {
  console.error(`--policy: no '${unknown}'; there are ${Object.keys(POLICIES).join(', ')}`);
  process.exit(2);
}
for (const policy of wanted) {
  results[policy] = {
    runs: 0,
    failed: 0,
    decisions: 0,
    pages: 0,
    invariants: 0,
    faults: {},
    events: {},
  };
}
const pool = await SeedPool.open(jobs);
// Every policy gets its turn, so that a campaign that is cut short has seen them all.
for (let first = from; first <= to && !abort.signal.aborted; first += BLOCK) {
  for (const policy of wanted) {
    if (abort.signal.aborted) break;
    await block(policy, first, Math.min(to, first + BLOCK - 1));
    const { runs, failed } = results[policy];
    const seconds = Math.round((performance.now() - begun) / 1000);
    console.log(`${policy}: ${runs} runs, ${failed} failed; ${seconds} s`);
  }
}
await pool.close();
const summary = {
  results,
  failures,
  interrupted: abort.signal.aborted,
  seconds: Math.round((performance.now() - begun) / 1000),
  ...{ node: process.version, cores: availableParallelism() },
};
console.log(JSON.stringify({ ...summary, failures: failures.length }, null, 2));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
