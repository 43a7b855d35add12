// SPDX-License-Identifier: GPL-2.0-only
/**
 * The house rules over the whole tree. The rules are in tidy/, and tidy/rules.test.ts shows each of
 * them a text that breaks it. Where a rule needs an exception, the exception stands here, with why.
 */
import { describe, expect, test } from 'vitest';
import {
  checkChance,
  checkClocks,
  checkConstructs,
  checkExactMath,
  checkMessages,
} from './tidy/banned.ts';
import {
  checkContexts,
  checkDocComments,
  checkGaps,
  checkKernelMap,
  checkLockOrder,
} from './tidy/documents.ts';
import {
  checkForeign,
  checkHeader,
  checkLicence,
  checkLockfile,
  checkMarks,
  checkSize,
  checkSkipped,
} from './tidy/file_rules.ts';
import { checkDeadFiles, checkDependencies, checkLayers } from './tidy/imports.ts';
import { checkAtomics, checkColumnTags, checkPairs } from './tidy/shared_state.ts';
import { type Finding, formatFinding, type SourceFile } from './tidy/source.ts';
import { fileOf, readTree } from './tidy/tree.ts';

/** Packages that were argued for. A new one is an entry here, and a reason in the change. */
const ALLOWED = {
  dependencies: [
    '@swc/wasm-typescript',
    'acorn',
    'commander',
    'magic-string',
    'piscina',
    'valibot',
  ],
  devDependencies: [
    '@biomejs/biome',
    '@types/node',
    'assemblyscript',
    'fast-check',
    'lz4-napi',
    'ringbuf.js',
    'rolldown',
    'typescript',
    'vitest',
  ],
};

/** Files loaded by a name that is put together at run time, and who does. */
const LOADED_BY_NAME = new Map([
  ['bench/bench_runner.ts', 'types of the bench groups'],
  ['bench/harness.ts', 'src/cli/bench_command.ts'],
  ['bench/kcompressd.ts', 'src/cli/bench_command.ts'],
  ['bench/kshrinkd.ts', 'src/cli/bench_command.ts'],
  ['bench/harness_ops.ts', 'bench/harness.ts'],
  ['bench/harness_short.ts', 'bench/harness.ts'],
  ['bench/locks.ts', 'src/cli/bench_command.ts'],
  ['bench/rcu.ts', 'src/cli/bench_command.ts'],
  ['bench/replay.ts', 'src/cli/bench_command.ts'],
  ['bench/rings.ts', 'src/cli/bench_command.ts'],
  ['bench/shrinker.ts', 'src/cli/bench_command.ts'],
]);

const tree = readTree();
const sources = tree.filter(({ path }) => /\.(ts|mjs|c|h)$/.test(path) || path === '.ci/run');
/**
 * AssemblyScript is TypeScript only in its looks: the linter's and the layers' rules hold, no more.
 */
const scripts = sources.filter(({ path }) => /\.(ts|mjs)$/.test(path));
const typed = scripts.filter(({ path }) => !path.startsWith('src/mm/wasm/'));
const product = typed.filter(({ path }) => /^(shared|src|kthreads|bench)\//.test(path));

const textOf = (path: string): SourceFile => fileOf(tree, path) ?? { path, text: '' };

function each(files: readonly SourceFile[], rule: (file: SourceFile) => Finding[]): string[] {
  return files.flatMap(rule).map(formatFinding);
}

describe('tidy', () => {
  test('the tree was found', () => {
    expect(product.length).toBeGreaterThan(100);
  });

  test.each<[string, readonly SourceFile[], (file: SourceFile) => Finding[]]>([
    ['the first line names the licence of the folder', sources, checkLicence],
    ['a header says what the file is for', sources, checkHeader],
    ['files and lines keep their size', sources, checkSize],
    ['nothing is left unfinished', sources, checkMarks],
    ['no test is skipped, focused or promised', scripts, checkSkipped],
    ['nothing names a machine or a registry', tree, checkForeign],
    ['every column says who may write it', product, checkColumnTags],
    ['Atomics is called by its own name', product, checkAtomics],
    ['clocks are read in one place', typed, checkClocks],
    ['chance comes from one place', typed, checkChance],
    ['results do not depend on the last bit of a function', typed, checkExactMath],
    ['types can be erased, and say what they are', typed, checkConstructs],
    ['threads exchange no messages', product, checkMessages],
    ['imports go downward', scripts, checkLayers],
    ['what is exported is explained', product, checkDocComments],
    ['who takes a lock or waits says in which context', product, checkContexts],
    ['documents have no gaps', tree.filter(({ path }) => path.endsWith('.md')), checkGaps],
    ['the lock file names no registry', [textOf('package-lock.json')], checkLockfile],
  ])('%s', (_, files, rule) => {
    expect(each(files, rule)).toEqual([]);
  });

  test('an ordering comment has its partner', () => {
    expect(checkPairs(sources).map(formatFinding)).toEqual([]);
  });

  test('no file is dead', () => {
    const roots = { packageJson: textOf('package.json').text, byName: LOADED_BY_NAME };
    expect(checkDeadFiles(product, roots).map(formatFinding)).toEqual([]);
  });

  test('the packages are those that were argued for, and are used', () => {
    const { text } = textOf('package.json');
    expect(checkDependencies(text, ALLOWED, product).map(formatFinding)).toEqual([]);
  });

  test('docs/locking.md gives the lock order of the code', () => {
    const findings = checkLockOrder(textOf('src/mm/lock_order.ts'), textOf('docs/locking.md'));
    expect(findings.map(formatFinding)).toEqual([]);
  });

  test('docs/kernel_map.md names every file of the engine and the threads', () => {
    expect(checkKernelMap(textOf('docs/kernel_map.md'), product).map(formatFinding)).toEqual([]);
  });
});
