// SPDX-License-Identifier: GPL-2.0-only
/**
 * The parallel campaign: every trace at several sizes of memory, CPUs sharing one address space or
 * each with its own, global pressure and a group's limit. Every run must end with no mismatch and
 * no violation.
 *
 *   node scripts/campaign.mjs [DIR ...]   traces: files or folders (default: traces/)
 *     --parts 25,50,75,90   memory in percent of the footprint
 *     --cpus 1,2,4          CPUs
 *     --events N            only the first N events of each trace
 *     --lockdep             with lock-order checking
 *     --limit               a group's limit instead of a small node
 *     --rounds N            repeat the whole
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runWorkload, traceWorkload } from '../dist/src/run.js';
import { readTrace } from '../dist/src/workload/trace.js';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: {
    parts: { type: 'string', default: '25,50,75,90' },
    cpus: { type: 'string', default: '1,2,4' },
    events: { type: 'string' },
    lockdep: { type: 'boolean', default: false },
    limit: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '1' },
  },
});

const numbers = (text) => text.split(',').map(Number);

function traceFiles(paths) {
  return paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((name) => /\.(ftrc|lackey|csv)(\.txt)?(\.gz)?$/.test(name))
          .sort()
          .map((name) => join(path, name))
      : [path],
  );
}

let runs = 0;
let failed = 0;
let verified = 0;

async function one(traces, label, config) {
  const report = await runWorkload(traceWorkload(traces, config), config);
  runs++;
  const { integrity, panic } = report;
  verified += integrity.pagesVerified ?? 0;
  const bad = panic !== null || integrity.mismatches !== 0 || integrity.violations !== 0;
  const v = report.vmstat;
  console.log(
    `${bad ? 'FAIL' : 'ok  '} ${label.padEnd(44)} ` +
      `${Math.round(report.wallMs).toString().padStart(6)} ms  ` +
      `steal ${v.pgsteal_anon} scan ${v.pgscan_anon} in ${v.pswpin} out ${v.pswpout} ` +
      `stall ${v.allocstall_normal} oom ${v.oom_kill}`,
  );
  if (!bad) return;
  failed++;
  console.log(`  config ${JSON.stringify(config)}`);
  if (panic !== null) console.log(`  panic ${JSON.stringify(panic)}`);
  for (const line of integrity.details) console.log(`  ${line}`);
}

const limit = values.events === undefined ? {} : { limit: Number(values.events) };
const files = traceFiles(positionals.length > 0 ? positionals : ['traces']);
const begun = Date.now();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const file of files) {
    const trace = await readTrace(file, limit);
    for (const part of numbers(values.parts)) {
      for (const cpus of numbers(values.cpus)) {
        const size = values.limit ? { memcgMax: `${part}%` } : { memory: `${part}%` };
        const base = { ...size, lockdep: values.lockdep };
        const label = `${trace.name} ${part} % ${cpus} CPUs`;
        await one([trace], `${label} shared`, { ...base, cpus, share: true });
        if (cpus > 1) await one(Array(cpus).fill(trace), `${label} own`, base);
      }
    }
  }
}
const seconds = Math.round((Date.now() - begun) / 1000);
console.log(`${runs} runs, ${failed} failed, ${verified} pages verified, ${seconds} s`);
process.exitCode = failed === 0 ? 0 : 1;
