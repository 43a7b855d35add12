// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zoo's keeper: lets each planted bug loose under a strategy, for a bounded time, and says
 * whether it was found, how fast, and how small the failing schedule became; runs the versions that
 * are right, which must raise no alarm; and, for comparison, runs the broken ones on real threads
 * at full speed.
 */
import { readdirSync } from 'node:fs';
import { exploreReport } from '../../dist/src/harness/index.js';
import { torture } from '../../dist/src/harness/torture.js';

const BUGS = new URL('./bugs/', import.meta.url);

/** Names of the planted bugs, in order. */
export const bugs = readdirSync(BUGS)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length))
  .sort();

/** @returns the scenario of a bug, or of the same code put right */
export function scenarioOf(name, fixed = false) {
  return new URL(`${name}.mjs${fixed ? '?fixed' : ''}`, BUGS);
}

const ways = (seed) => ({
  pct: { strategy: 'pct', depth: 3, seed },
  random: { strategy: 'random', seed },
});

const options = { iterations: 100_000_000, replayDir: false };

/**
 * Explores a planted bug.
 * @param way 'pct' or 'random' @param seconds at most; the seed is fixed
 */
export async function hunt(name, way, seconds = 10, seed = 1) {
  const report = await exploreReport(scenarioOf(name), { ...options, ...ways(seed)[way], seconds });
  const { failure, executions, wallMs } = report;
  if (failure === null) return { found: false, executions, ms: Math.round(wallMs) };
  return {
    found: true,
    executions,
    ms: Math.round(wallMs),
    kind: failure.kind,
    title: failure.title,
    reproducible: failure.reproducible,
    switchesFound: failure.found.switches,
    switches: failure.switches,
    steps: failure.steps,
    shrinkMs: Math.round(failure.shrink?.ms ?? 0),
  };
}

/**
 * Explores the version that is right, half of the time by each strategy.
 * @returns executions, and the text of the alarm or null
 */
export async function guard(name, seconds, seed = 1) {
  let executions = 0;
  for (const way of Object.values(ways(seed))) {
    const report = await exploreReport(scenarioOf(name, true), {
      ...options,
      ...way,
      seconds: seconds / 2,
    });
    executions += report.executions;
    if (report.failure !== null) return { executions, alarm: report.failure.text };
  }
  return { executions, alarm: null };
}

/** Runs a planted bug on real threads, without a delay of ours, as a plain stress test would. */
export async function stress(name, seconds = 10, seed = 1) {
  const {
    failure,
    rounds,
    seconds: took,
  } = await torture(scenarioOf(name), {
    seconds,
    seed,
    delays: false,
    stutter: 0,
    hangMs: 1000,
  });
  return { found: failure !== null, rounds, ms: Math.round(took * 1000) };
}

/** @returns the middle of the numbers; NaN of none */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** @returns what the rows of `survey` come to */
export function summarise(rows) {
  const share = (way) => rows.filter((row) => row[way]?.found).length / rows.length;
  const caught = rows.map((row) => [row.pct, row.random].find((hunted) => hunted?.found));
  return {
    bugs: rows.length,
    pct: share('pct'),
    random: share('random'),
    either: caught.filter(Boolean).length / rows.length,
    stress: rows.some((row) => row.stress) ? share('stress') : null,
    medianMs: median(caught.filter(Boolean).map(({ ms }) => ms)),
    medianSwitches: median(caught.filter(Boolean).map(({ switches }) => switches)),
    missed: rows.filter((_, at) => caught[at] === undefined).map(({ name }) => name),
  };
}

/** @returns one line of the table */
export function formatRow({ name, pct, random, stress }) {
  const hunted = (h) => {
    if (h === undefined) return '-'.padStart(34);
    if (!h.found) return `missed in ${h.executions} x`.padStart(34);
    const size = `${h.switchesFound} -> ${h.switches} sw`;
    return `${h.executions} x ${h.ms} ms`.padStart(18) + size.padStart(16);
  };
  const free = stress === undefined ? '' : stress.found ? `${stress.ms} ms` : 'missed';
  return `${name.padEnd(28)}${hunted(pct)}${hunted(random)}${free.padStart(11)}`;
}
