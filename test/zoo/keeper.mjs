// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zoo's keeper: lets each planted bug loose under a strategy, for a bounded time, and says
 * whether it was found, how fast, and how small the failing schedule became; runs the versions that
 * are right, which must raise no alarm; and, for comparison, runs the broken ones on real threads
 * at full speed.
 */
import { readdirSync } from 'node:fs';
import { exploreReport, tortureReport } from '../../dist/src/harness/index.js';

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
  dfs: { strategy: 'dfs' },
});

const options = { iterations: 100_000_000, replayDir: false };

/**
 * Explores a planted bug.
 * @param way 'pct', 'random' or 'dfs' @param seconds at most; the seed is fixed
 */
export async function hunt(name, way, seconds = 10, seed = 1) {
  const report = await exploreReport(scenarioOf(name), { ...options, ...ways(seed)[way], seconds });
  const { failure, executions, exhausted, wallMs } = report;
  const ms = Math.round(wallMs);
  if (failure === null) return { found: false, executions, ms, exhausted };
  return {
    found: true,
    executions,
    ms,
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
 * Explores the version that is right, half of the time by each of pct and random.
 * @returns executions, and the text of the alarm or null
 */
export async function guard(name, seconds, seed = 1) {
  const { pct, random } = ways(seed);
  let executions = 0;
  for (const way of [pct, random]) {
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

/**
 * Searches the version that is right exhaustively.
 * @returns executions, whether they were all there are, and the text of the alarm or null
 */
export async function prove(name, seconds) {
  const way = { ...options, strategy: 'dfs', seconds };
  const { executions, exhausted, failure } = await exploreReport(scenarioOf(name, true), way);
  return { executions, complete: exhausted, alarm: failure?.text ?? null };
}

/** Runs a planted bug on real threads, without a delay of ours, as a plain stress test would. */
export async function stress(name, seconds = 10, seed = 1) {
  const {
    failure,
    rounds,
    seconds: took,
  } = await tortureReport(scenarioOf(name), {
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

/** @returns what the rows of a survey come to */
export function summarise(rows) {
  const share = (way) => rows.filter((row) => row[way]?.found).length / rows.length;
  const caught = rows.map(firstFound);
  const found = caught.filter((hunted) => hunted !== undefined);
  return {
    bugs: rows.length,
    pct: share('pct'),
    random: share('random'),
    dfs: share('dfs'),
    either: found.length / rows.length,
    stress: rows.some((row) => row.stress) ? share('stress') : null,
    proven: rows.filter((row) => row.right?.complete).length,
    medianMs: median(found.map(({ ms }) => ms)),
    medianSwitches: median(found.map(({ switches }) => switches)),
    missed: rows.filter((_, at) => caught[at] === undefined).map(({ name }) => name),
  };
}

/** How pct caught it, or else random. */
function firstFound({ pct, random }) {
  return [pct, random].find((hunted) => hunted?.found);
}

const COLUMNS = [26, 18, 18, 18, 15, 18, 12];

/** @returns the heading of the table of `formatRow` */
export function formatHeading() {
  return line(['bug', 'pct', 'random', 'dfs', 'switches', 'put right', 'stress']);
}

/** @returns one line of the table: executions and ms until found, switches found and shrunk */
export function formatRow(row) {
  const { name, pct, random, dfs, right, stress } = row;
  const ways = [pct, random, dfs].map((hunted) => {
    return hunted.found ? `${hunted.executions} x ${hunted.ms} ms` : 'missed';
  });
  const caught = firstFound(row);
  const switches = caught ? `${caught.switchesFound} -> ${caught.switches}` : '';
  const proof = `${right.complete ? 'all' : 'some'} ${right.executions}`;
  const free = stress === undefined ? '' : stress.found ? `${stress.ms} ms` : 'missed';
  return line([name, ...ways, switches, proof, free]);
}

function line(cells) {
  const padded = cells.map((cell, at) =>
    at === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[at]),
  );
  return padded.join('').trimEnd();
}
