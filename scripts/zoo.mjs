#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zoo of planted bugs as a survey and as a campaign.
 *
 *   node scripts/zoo.mjs [NAME...] [--seconds 10] [--seed 1] [--stress] [--json FILE]
 *   node scripts/zoo.mjs [NAME...] --fixed --minutes 60
 *
 * The survey hunts every bug with each strategy for at most --seconds, and with --stress on real
 * threads at full speed too; it searches the version that is right exhaustively for as long. Exit 1
 * when neither pct nor random finds a bug, or there was an alarm. The campaign goes round and round
 * over the versions that are right, a new seed each time; exit 1 at the first alarm.
 */
import { writeFileSync } from 'node:fs';
import {
  bugs,
  formatHeading,
  formatRow,
  guard,
  hunt,
  prove,
  stress,
  summarise,
} from '../test/zoo/keeper.mjs';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: {
    fixed: { type: 'boolean', default: false },
    json: { type: 'string' },
    minutes: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    stress: { type: 'boolean', default: false },
  },
});
const chosen = positionals.length > 0 ? positionals : bugs;
const seconds = Number(values.seconds);
const seed = Number(values.seed);

async function survey() {
  const rows = [];
  console.log(formatHeading());
  for (const name of chosen) {
    const pct = await hunt(name, 'pct', seconds, seed);
    const random = await hunt(name, 'random', seconds, seed);
    const dfs = await hunt(name, 'dfs', seconds);
    const right = await prove(name, seconds);
    const row = { name, pct, random, dfs, right };
    if (values.stress) row.stress = await stress(name, seconds, seed);
    console.log(formatRow(row));
    if (right.alarm !== null) console.log(right.alarm);
    rows.push(row);
  }
  const summary = summarise(rows);
  console.log(JSON.stringify(summary));
  if (values.json !== undefined) {
    const whole = { schema: 'kreclaim.zoo/1', node: process.version, seconds, seed, summary, rows };
    writeFileSync(values.json, `${JSON.stringify(whole, null, 2)}\n`);
  }
  return summary.missed.length === 0 && rows.every(({ right }) => right.alarm === null);
}

async function campaign() {
  const end = performance.now() + Number(values.minutes) * 60_000;
  let executions = 0;
  let round = 0;
  for (; performance.now() < end; round++) {
    for (const name of chosen) {
      if (performance.now() >= end) break;
      const guarded = await guard(name, seconds, seed + round * 1_000_003);
      executions += guarded.executions;
      if (guarded.alarm !== null) {
        console.log(`${name}, put right, raised an alarm:\n${guarded.alarm}`);
        return false;
      }
    }
    console.log(`round ${round + 1}: ${executions} executions, no alarm`);
  }
  return true;
}

const held = await (values.fixed ? campaign() : survey());
process.exitCode = held ? 0 : 1;
