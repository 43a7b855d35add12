// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kcompressd takes off kswapd: `kreclaim run quick` with it off and with 1 to 4 threads, in
 * turns, under the profiler.
 *
 *   node scripts/kcompressd_share.mjs [--runs N] [-- ARGUMENT ...]
 *     --runs N   of each, default 3
 *     ARGUMENT   more of `kreclaim run quick`
 *
 * A line for each variant, medians of the runs, the range in brackets: kswapd's samples inside
 * compressPage, its CPU time, pages that went through the ring and that kswapd compressed since it
 * was full, direct reclaims, accesses a second.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: { runs: { type: 'string', default: '3' } },
});
const main = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));
const variants = [
  ['off', []],
  ...[1, 2, 3, 4].map((threads) => [
    `fixed x${threads}`,
    ['--kcompressd', 'fixed', '--kcompressd-threads', String(threads)],
  ]),
];

/** @returns per cent of kswapd's samples that are inside compressPage */
function shareOf(folded) {
  let all = 0;
  let inside = 0;
  for (const line of folded.split('\n')) {
    if (!/^kswapd\d/.test(line)) continue;
    const count = Number(line.slice(line.lastIndexOf(' ')));
    all += count;
    if (/compressPage/.test(line)) inside += count;
  }
  return (100 * inside) / all;
}

function once(options, folder) {
  const [json, flame] = [join(folder, 'run.json'), join(folder, 'run.html')];
  const args = ['run', 'quick', '-q', '--json', json, '--flame', flame, ...options, ...positionals];
  const { status } = spawnSync(process.execPath, [main, ...args], { stdio: 'ignore' });
  if (status !== 0) throw new Error(`kreclaim ${args.join(' ')}: exit code ${status}`);
  const report = JSON.parse(readFileSync(json, 'utf8'));
  const events = report.processes.reduce((sum, process) => sum + process.events, 0);
  const rows = report.kcompressd ?? [];
  return {
    'share %': shareOf(readFileSync(join(folder, 'run.folded'), 'utf8')),
    'kswapd ms': report.threads.find(({ comm }) => comm === 'kswapd0').cpuMs,
    queued: rows.reduce((sum, { queued }) => sum + queued, 0),
    full: rows.reduce((sum, { fallbackFull }) => sum + fallbackFull, 0),
    stalls: report.vmstat.allocstall_normal,
    'accesses/s': (1000 * events) / report.wallMs,
  };
}

function text(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const show = (value) => value.toFixed(value < 10 ? 2 : 0);
  const middle = sorted[sorted.length >> 1];
  return `${show(middle)} (${show(sorted[0])} .. ${show(sorted.at(-1))})`;
}

const folder = mkdtempSync(join(tmpdir(), 'kreclaim-share-'));
const runs = new Map(variants.map(([name]) => [name, []]));
try {
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [name, options] of variants) runs.get(name).push(once(options, folder));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const [name, samples] of runs) {
  const parts = Object.keys(samples[0]).map(
    (figure) => `${figure} ${text(samples.map((sample) => sample[figure]))}`,
  );
  console.log(`${name.padEnd(9)} ${parts.join('  ')}`);
}
