// SPDX-License-Identifier: GPL-2.0-only
/** `reproduce reference` as a user meets it, with a trace and figures of the test's own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readTrace, writeTrace } from '../../dist/src/index.js';
import { generateTrace } from '../../dist/src/workload/generators.js';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'kreclaim-reference-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const exact = (median: number) => ({ median, min: median, max: median, n: 1 });

/** A row whose first figure nobody reaches, and whose second everybody does. */
const row = (mode: string, pages: number, names: readonly [string, string]) => ({
  trace: 'tiny',
  mode,
  pageCluster: mode === 'swapfile' ? 0 : null,
  frac: 0.5,
  limitPages: Math.floor(pages / 2),
  pages,
  kernelPages: 3,
  kernels: [
    { kernel: 'host 6.18 classic', figures: { [names[0]]: exact(1e9), [names[1]]: exact(50) } },
  ],
});

function kreclaim(args: string) {
  const child = spawn(process.execPath, [MAIN, ...args.split(' ')], { cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

beforeAll(async () => {
  const made = generateTrace({ kind: 'zipf', pages: 400, events: 20_000, seed: 3 });
  await writeTrace(join(dir, 'tiny.ftrc.gz'), made);
  const trace = await readTrace(join(dir, 'tiny.ftrc.gz'));
  const pages = trace.pages.length;
  const sorted = Float64Array.from(trace.pages).sort();
  const middle = sorted[Math.floor(pages / 2)] as number;
  const end = (sorted.at(-1) as number) + 1;
  const ranges = [
    { start: sorted[0], end: middle, kind: 'file', prot: 'r--' },
    { start: middle, end, kind: 'anon', prot: 'rw-' },
  ];
  writeFileSync(join(dir, 'tiny.json'), JSON.stringify({ ranges }));
  const modes = [
    row('mixed', pages, ['refaults anon', 'refaults file']),
    row('file', pages, ['pages written', 'refaults']),
    row('swapfile', pages, ['refaults', 'read ahead']),
  ];
  const schema = 'kreclaim.reference/1';
  writeFileSync(join(dir, 'reference.json'), JSON.stringify({ schema, rows: [], modes }));
});

const COMMAND = 'reproduce reference --traces . --reference reference.json';

it('sets every figure beside the kernel’s', { timeout: 120_000 }, async () => {
  const args = '--mapping mixed,file,swapfile --runs 2 --json a.json';
  const { code, stdout, stderr } = await kreclaim(`${COMMAND} ${args}`);
  expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 0, lines: 4 });
  expect(stderr).toMatch(/^1 of 3: tiny mixed at 0\.5\n2 of 3: tiny file at 0\.5\n3 of 3: /);
  expect(stdout).toMatch(/\n {2}tiny {3}mixed +0\.5 .* refaults anon +1000000000 .* NO\n/);
  const { modes, rows, measured } = JSON.parse(readFileSync(join(dir, 'a.json'), 'utf8'));
  expect(rows).toEqual([]);
  expect(measured).toEqual({ rows: 3, within: 0 });
  for (const { mode, figures, mismatches, violations } of modes) {
    expect({ mismatches, violations }).toEqual({ mismatches: 0, violations: [] });
    const runs = mode === 'mixed' ? 1 : 2;
    for (const { ours, within, kernels } of figures) {
      expect(ours.n).toBe(runs);
      expect(ours.min <= ours.median && ours.median <= ours.max).toBe(true);
      const near = Math.abs(kernels[0].median - ours.median);
      expect(within).toBe(near <= 100 || near <= 0.1 * kernels[0].median);
    }
  }
  const found = modes.map(({ figures }: { figures: { name: string }[] }) =>
    figures.map(({ name }) => name),
  );
  expect(found).toEqual([
    ['refaults anon', 'refaults file'],
    ['refaults', 'pages written'],
    ['refaults', 'read ahead'],
  ]);
});

it('runs the rows that are asked for', async () => {
  const none = await kreclaim(`${COMMAND} --mapping anon`);
  expect(none).toMatchObject({ code: 2, stdout: '' });
  expect(none.stderr).toMatch(/holds no runs on anonymous memory with a limit; /);
  const one = await kreclaim(`${COMMAND} --mapping mixed`);
  expect(one).toMatchObject({ code: 0, stderr: '1 of 1: tiny mixed at 0.5\n' });
});
