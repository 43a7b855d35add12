// SPDX-License-Identifier: GPL-2.0-only
/**
 * The exploration campaign: every variant of the scenarios of src/mm, those with three threads too
 * that the test suite leaves out. Each is searched exhaustively for a while; where that does not
 * end, by chance (PCT). No execution may fail.
 *
 *   node scripts/explore_campaign.mjs [SCENARIO ...]   default: shrinker shrinker_group
 *     --only REGEX    variants whose name fits
 *     --seconds N     exhaustive search, at most so long per variant (60; 0: none)
 *     --runs N        executions by chance where it did not end (100,000)
 *     --limit N       by chance, at most so long per variant, in seconds (3,600)
 *     --depth N       ordering constraints that a bug may need (3)
 *     --seed N        of the first execution (1)
 *     --race          plain accesses are scheduling points in both, and must not race
 */
import { exploreReport } from '../dist/src/harness/index.js';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '60' },
    runs: { type: 'string', default: '100000' },
    limit: { type: 'string', default: '3600' },
    depth: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    race: { type: 'boolean', default: false },
  },
});

const seconds = Number(values.seconds);
const chance = {
  strategy: 'pct',
  iterations: Number(values.runs),
  seconds: Number(values.limit),
  depth: Number(values.depth),
  seed: Number(values.seed),
};
const only = new RegExp(values.only);
const scenarios = positionals.length > 0 ? positionals : ['shrinker', 'shrinker_group'];
let failed = 0;

/** @returns the report, null when it failed, which has been told then */
async function explored(url, options) {
  const report = await exploreReport(url, { race: values.race, replayDir: false, ...options });
  if (report.failure === null) return report;
  failed++;
  console.log(`FAIL ${url.search}\n${report.failure.text}`);
  return null;
}

const figure = (n) => n.toLocaleString('en').padStart(11);

async function one(url, variant) {
  const bound = variant.preemptions === undefined ? '' : `, at most ${variant.preemptions}`;
  let tried = 'by chance alone';
  if (seconds > 0) {
    const report = await explored(url, { seconds });
    if (report === null) return;
    if (report.exhausted) {
      return `${figure(report.executions)} all${bound}`;
    }
    tried = `after ${report.executions.toLocaleString('en')} of an exhaustive search`;
  }
  const report = await explored(url, chance);
  if (report === null) return;
  return `${figure(report.executions)} PCT, depth ${chance.depth}, ${tried}`;
}

for (const scenario of scenarios) {
  const file = new URL(`../test/explore/${scenario}.scenario.mjs`, import.meta.url);
  const { exploration } = await import(file.href);
  const all = { ...exploration.variants, ...exploration.more };
  for (const [name, variant] of Object.entries(all).filter(([name]) => only.test(name))) {
    const begun = performance.now();
    const line = await one(new URL(`?variant=${name}`, file), variant);
    const took = Math.round((performance.now() - begun) / 1000);
    if (line) console.log(`ok   ${scenario} ${name.padEnd(30)} ${line}, ${took} s`);
  }
}
console.log(failed === 0 ? 'held' : `${failed} variants failed`);
process.exitCode = failed === 0 ? 0 : 1;
