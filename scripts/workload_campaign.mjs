#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only
/**
 * The campaign over scenario files: for a time on real threads, with several numbers of CPUs; and
 * through seeds of short deterministic runs with fault injection. Every run must end with no panic,
 * no mismatch, no violation and nobody left. A line for each run, one at the end; each failure with
 * the command that runs it again.
 *
 *   node scripts/workload_campaign.mjs [SCENARIO ...]   names or files (default: all bundled ones)
 *     --seconds 600         real threads: seconds of each run (default: 10)
 *     --cpus 1,2,4,8        real threads: CPUs (default: 1,2,4,8)
 *     --scale 1             real threads: scale (default: 1)
 *     --rounds N            real threads: the whole again, another seed each time (default: 1)
 *     --set NAME=VALUE      an option of the machine for all, as in the library: swap=zswap
 *     --lockdep             with the order of locks checked
 *     --seeds A..B          deterministic runs instead: the seed chooses CPUs, memory and swap, too
 *     --json FILE           writes a summary
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { replayLine } from '../dist/src/cli/replay_line.js';
import { parseSeeds } from '../dist/src/cli/seeds_action.js';
import { HostKeeper } from '../dist/src/deterministic/host_keeper.js';
import { failureReason } from '../dist/src/deterministic/seed_result.js';
import { MODEST_FAULTS } from '../dist/src/mm/faults.js';
import { runWorkload } from '../dist/src/run.js';
import { loadScenario, planScenario } from '../dist/src/workload/scenario.js';
import { bundledNames } from '../dist/src/workload/scenario_file.js';
import { machineArguments, scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '10' },
    cpus: { type: 'string', default: '1,2,4,8' },
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '1' },
    set: { type: 'string', multiple: true, default: [] },
    lockdep: { type: 'boolean', default: false },
    seeds: { type: 'string' },
    json: { type: 'string' },
  },
});

const names = positionals.length > 0 ? positionals : bundledNames();
/** Work of a deterministic run, for the kinds that have such options. */
const SHORT = {
  ...{ scale: 1 / 32, launches: 12, apps: 10, rounds: 1, depth: 2, width: 2, ops: 600 },
  ...{ units: 6, numJobs: 3 },
};
/** What makes memory short although little is done. */
const OWN = { monkey: { heap: '25%' } };
/** Machines that the seeds go through. */
const MACHINES = [
  {},
  { swap: 'zswap' },
  { swap: 'file' },
  { nodes: 1, swap: 'none' },
  { rmapTrylock: false },
  { swap: 'file', pageCluster: 1 },
  { memcgMax: '1M' },
];

const total = { runs: 0, failed: 0, interrupted: 0, pages: 0, invariants: 0, killed: 0 };
const failures = [];
/** Of the runs in a schedule. */
const hosts = new HostKeeper();
const begun = performance.now();

function setOption(text) {
  const [name, value] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)];
  return [name, /^\d+$/.test(value) ? Number(value) : value];
}

/** Tasks that ended are all that were made: init, and those that it and others forked. */
function leftOver({ tasks, panic }) {
  if (panic !== null || tasks === null) return null;
  const left = tasks.forks + 1 - tasks.exits;
  return left === 0 ? null : `${left} processes are left`;
}

function figuresText(report) {
  const figures = report.scenario?.figures ?? {};
  return Object.entries(figures)
    .filter(([name, value]) => value > 0 && !/Us$/.test(name))
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function note(label, report, args, config) {
  const reason = failureReason(report) ?? leftOver(report);
  const { integrity, vmstat, wallMs } = report;
  total.runs++;
  total.pages += integrity.pagesVerified ?? 0;
  total.invariants += integrity.invariantsChecked ?? 0;
  total.killed += vmstat.oom_kill ?? 0;
  const seconds = (wallMs / 1000).toFixed(1);
  const word = reason === null ? 'ok  ' : 'FAIL';
  console.log(`${word} ${label}: ${seconds} s, ${figuresText(report)}`);
  if (reason === null) return;
  const { seed, faults, faultSeed, mode } = report.config;
  const replay =
    mode === 'deterministic'
      ? replayLine(args, seed, faults, faultSeed ?? seed)
      : `kreclaim ${args.join(' ')} --seed ${seed}`;
  failures.push({ label, reason, replay, config, details: integrity.details });
  total.failed++;
  console.log(`  ${reason}\n  ${replay}`);
  for (const line of [...(report.panic?.stack.split('\n') ?? []), ...integrity.details].slice(
    0,
    12,
  )) {
    console.log(`  ${line}`);
  }
}

/** One run: whatever is wrong is noted, and the campaign goes on. */
async function one(name, label, options, config) {
  const scenario = await loadScenario(name);
  const known = scenario.options.map((option) => option.name);
  const own = Object.fromEntries(Object.entries(options).filter(([key]) => known.includes(key)));
  const { mode: _, seed: __, faults: ___, ...machine } = config;
  const args = ['run', name, ...machineArguments({ ...own, ...machine })];
  const plan = planScenario(scenario, { options: own, config });
  try {
    note(label, await runWorkload(plan.workload, plan.config, { hosts }), args, config);
  } catch (error) {
    total.runs++;
    total.failed++;
    const reason = String(error.message).split('\n')[0];
    failures.push({ label, reason, replay: args.join(' '), config, details: [] });
    console.log(`FAIL ${label}: ${reason}\n  kreclaim ${args.join(' ')}`);
  }
}

async function parallel() {
  const config = {
    ...Object.fromEntries(values.set.map(setOption)),
    ...(values.lockdep ? { lockdep: true } : {}),
  };
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const name of names) {
      for (const cpus of values.cpus.split(',').map(Number)) {
        const options = { scale: Number(values.scale), seconds: Number(values.seconds) };
        const label = `${name} ${cpus} CPUs seed ${round}`;
        await one(name, label, options, { ...config, cpus, seed: round });
      }
    }
  }
}

async function deterministic({ from, to }) {
  for (let seed = from; seed <= to; seed++) {
    const name = names[seed % names.length];
    const round = Math.floor(seed / names.length);
    const machine = MACHINES[round % MACHINES.length];
    const cpus = 1 + (round % 4);
    const config = { ...machine, cpus, ...(seed % 3 === 0 ? { lockdep: true } : {}), seed };
    const label = `${name} seed ${seed}, ${cpus} CPUs, ${JSON.stringify(machine)}`;
    await one(
      name,
      label,
      { ...SHORT, ...OWN[name] },
      { ...config, mode: 'deterministic', faults: MODEST_FAULTS },
    );
  }
}

if (values.seeds === undefined) await parallel();
else await deterministic(parseSeeds(values.seeds));
await hosts.end();

const seconds = Math.round((performance.now() - begun) / 1000);
console.log(
  `${total.runs} runs, ${total.failed} failed; ${total.pages} pages read back, ` +
    `${total.invariants} invariants checked, ${total.killed} killed for memory; ${seconds} s`,
);
const host = { node: process.version, cores: availableParallelism() };
if (values.json !== undefined) {
  const summary = { ...total, seconds, ...host, failures };
  writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`);
}
process.exitCode = total.failed === 0 ? 0 : 1;
