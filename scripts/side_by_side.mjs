// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a command costs in this tree and in another: runs of both in turns, A B, B A, ..., each a
 * process of its own. Both trees must be built.
 *
 *   node scripts/side_by_side.mjs OTHER [--pairs N] [-- ARGUMENT ...]
 *     OTHER       folder of the other tree: A; this one is B
 *     --pairs N   default 9
 *     ARGUMENT    of kreclaim; default: demo, then run quick
 *
 * Prints the medians of user and system CPU time and of wall time, the range, and the difference
 * within pairs: its median and its quartiles. Zero within the quartiles: no difference was seen.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scriptArgs } from './script_args.mjs';

const { values, positionals } = scriptArgs(import.meta.url, {
  allowPositionals: true,
  options: { pairs: { type: 'string', default: '9' } },
});
const [other, ...args] = positionals;
if (other === undefined) {
  console.error('side_by_side: give the folder of the other tree');
  process.exit(2);
}
const trees = { A: resolve(other), B: fileURLToPath(new URL('..', import.meta.url)) };
const commands = args.length > 0 ? [args] : [['demo'], ['run', 'quick']];
const figures = ['wall', 'user', 'system'];

/** @returns seconds of wall, user and system time */
function once(tree, command, folder) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" > /dev/null 2>/dev/null';
  const main = join(tree, 'dist/src/cli/main.js');
  const run = [script, 'sh', process.execPath, main, ...command];
  const { stderr, status } = spawnSync('bash', ['-c', ...run], { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${main} ${command.join(' ')}: exit code ${status}`);
  const times = stderr.trim().split('\n').at(-1).split(' ').map(Number);
  return Object.fromEntries(figures.map((name, i) => [name, times[i]]));
}

/** @param share of the values that are below */
function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at % 1);
}

function show(runs) {
  for (const name of figures) {
    const [a, b] = ['A', 'B'].map((side) => runs[side].map((run) => run[name]));
    const differences = a.map((value, i) => (100 * (b[i] - value)) / value);
    const line = (numbers) =>
      `${quantile(numbers, 0.5).toFixed(2)} (${Math.min(...numbers).toFixed(2)} .. ` +
      `${Math.max(...numbers).toFixed(2)})`;
    const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => quantile(differences, share).toFixed(1));
    console.log(`  ${name.padEnd(7)} A ${line(a)}  B ${line(b)} s  B-A ${q2} % (${q1} .. ${q3})`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'kreclaim-side-'));
try {
  for (const command of commands) {
    const runs = { A: [], B: [] };
    for (const side of ['A', 'B']) once(trees[side], command, folder);
    for (let pair = 0; pair < Number(values.pairs); pair++) {
      const sides = pair % 2 === 0 ? ['A', 'B'] : ['B', 'A'];
      for (const side of sides) runs[side].push(once(trees[side], command, folder));
    }
    console.log(`kreclaim ${command.join(' ')}: ${values.pairs} pairs`);
    show(runs);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
