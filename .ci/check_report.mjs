// SPDX-License-Identifier: GPL-2.0-only
/**
 * Does a run report of the main job say what it must? Usage: check_report.mjs REPORT.json
 * Prints every claim that does not hold; exits 1 when there is one.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const comms = new Set(report.threads.map((thread) => thread.comm));
const { vmstat, integrity } = report;

const claims = {
  'schema is kreclaim.run/1': report.schema === 'kreclaim.run/1',
  'no panic': report.panic === null,
  'not interrupted': report.interrupted === false,
  'two traces': report.traces.length === 2,
  'two processes, both done': report.processes.map((p) => p.status).join() === 'done,done',
  'no process was killed': report.processes.every((p) => p.oomKilled === false),
  'pages were verified': integrity.pagesVerified > 0,
  'mismatches: 0': integrity.mismatches === 0,
  'invariants were checked': integrity.invariantsChecked > 0,
  'violations: 0': integrity.violations === 0,
  'pages came back from swap': vmstat.pswpin > 0,
  'kswapd reclaimed': vmstat.pgsteal_kswapd > 0,
  'pgsteal_kswapd <= pgscan_kswapd': vmstat.pgsteal_kswapd <= vmstat.pgscan_kswapd,
  'pgsteal_direct <= pgscan_direct': vmstat.pgsteal_direct <= vmstat.pgscan_direct,
};
for (const comm of ['kswapd0', 'cpu0', 'cpu1']) claims[`a thread ${comm}`] = comms.has(comm);
for (const path of ['/proc/vmstat', '/proc/meminfo', '/proc/zoneinfo', '/proc/lock_stat']) {
  claims[`the text of ${path}`] = (report.proc[path] ?? '').length > 0;
}

const broken = Object.keys(claims).filter((claim) => claims[claim] !== true);
for (const claim of broken) process.stdout.write(`does not hold: ${claim}\n`);
process.exitCode = broken.length === 0 ? 0 : 1;
