// SPDX-License-Identifier: GPL-2.0-only
/**
 * What may import what, which files nobody needs, and which packages the project stands on.
 */
import { posix } from 'node:path';
import { type Finding, lineAt, type SourceFile, split } from './source.ts';

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

const SPECIFIER = new RegExp(
  [
    /\bfrom\s*'([^']+)'/,
    /^\s*import\s*'([^']+)'/,
    /\b(?:import|require\w*|createRequire\([^)]*\))\(\s*'([^']+)'\s*\)/,
    /\bnew URL\(\s*[`'](\.[^`']+)[`']/,
  ]
    .map((pattern) => pattern.source)
    .join('|'),
  'gm',
);

/** What a file imports, re-exports, requires, and names by `new URL('./x.js', ...)`. */
export function importsOf(text: string): Import[] {
  const { bare } = split(text);
  return [...bare.matchAll(SPECIFIER)].map((match) => ({
    specifier: (match[1] ?? match[2] ?? match[3] ?? match[4]) as string,
    line: lineAt(bare, match.index),
  }));
}

interface Layer {
  readonly folder: RegExp;
  readonly folders: RegExp;
  readonly packages: readonly string[];
}

/** First match wins: inner folders before outer ones. */
const LAYERS: readonly Layer[] = [
  { folder: /^shared\//, folders: /^shared\//, packages: [] },
  { folder: /^src\/mm\/wasm\//, folders: /^src\/mm\/wasm\//, packages: [] },
  { folder: /^src\/mm\//, folders: /^(shared|src\/mm)\//, packages: [] },
  { folder: /^kthreads\//, folders: /^(shared|src\/mm|kthreads)\//, packages: [] },
  {
    folder: /^src\/harness\//,
    folders: /^(shared|src\/harness)\//,
    packages: ['@swc/wasm-typescript', 'acorn', 'magic-string'],
  },
  {
    folder: /^bench\//,
    folders: /^(shared|src\/(mm|harness)|kthreads|bench)\//,
    packages: ['lz4-napi', 'ringbuf.js'],
  },
  {
    folder: /^src\//,
    folders: /^(shared|src|kthreads|bench)\//,
    packages: ['commander', 'piscina', 'valibot'],
  },
];

/** Imports go downward only, and only the packages of the layer. */
export function checkLayers({ path, text }: SourceFile): Finding[] {
  const layer = LAYERS.find(({ folder }) => folder.test(path));
  if (layer === undefined) return [];
  const findings: Finding[] = [];
  for (const { specifier, line } of importsOf(text)) {
    if (specifier.startsWith('node:')) continue;
    const target = posix.join(posix.dirname(path), specifier);
    const allowed = specifier.startsWith('.')
      ? layer.folders.test(target) || !/^(shared|src|kthreads|bench|test|scripts)\//.test(target)
      : layer.packages.includes(specifier);
    const message = `may not import ${specifier}`;
    if (!allowed) findings.push({ rule: 'layers', path, line, message });
  }
  return findings;
}

/** What starts by itself: entries of package.json, and files named where no path can be seen. */
export interface Roots {
  readonly packageJson: string;
  /** Files that code loads by a name it puts together, with who does. */
  readonly byName: ReadonlyMap<string, string>;
}

const KTHREAD = /\bkthread\(\s*'(\w+)'/g;

/** Every source file is imported, loaded by URL or an entry of the package. */
export function checkDeadFiles(files: readonly SourceFile[], roots: Roots): Finding[] {
  const live = new Set<string>();
  for (const match of roots.packageJson.matchAll(/"\.\/dist\/([^"]+)\.js"/g)) {
    live.add(`${match[1]}.ts`);
  }
  for (const { path, text } of files) {
    for (const { specifier } of importsOf(text)) {
      if (!specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(path), specifier);
      live.add(target.replace(/\.(js|wasm)$/, '.ts'));
    }
    for (const match of split(text).bare.matchAll(KTHREAD)) live.add(`kthreads/${match[1]}.ts`);
  }
  const findings: Finding[] = [];
  for (const { path } of files) {
    if (!/^(shared|src|kthreads|bench)\/.*\.ts$/.test(path) || live.has(path)) continue;
    if (roots.byName.has(path)) continue;
    findings.push({ rule: 'dead file', path, line: 0, message: 'nothing imports or loads it' });
  }
  for (const path of roots.byName.keys()) {
    if (files.some((file) => file.path === path)) continue;
    findings.push({ rule: 'dead file', path, line: 0, message: 'listed as loaded, but not there' });
  }
  return findings;
}

export interface Allowed {
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

const names = (table: unknown): string[] => Object.keys((table ?? {}) as object).sort();

/**
 * package.json names exactly the packages that were argued for, and each at run time is imported.
 */
export function checkDependencies(
  packageText: string,
  allowed: Allowed,
  files: readonly SourceFile[],
): Finding[] {
  const rule = 'dependencies';
  const path = 'package.json';
  const parsed = JSON.parse(packageText) as Record<string, unknown>;
  const findings: Finding[] = [];
  for (const field of ['dependencies', 'devDependencies'] as const) {
    const have = names(parsed[field]);
    const want = [...allowed[field]].sort();
    if (have.join() === want.join()) continue;
    const message = `${field} are [${have.join(', ')}]; allowed are [${want.join(', ')}]`;
    findings.push({ rule, path, line: 0, message });
  }
  for (const field of ['peerDependencies', 'optionalDependencies', 'bundleDependencies']) {
    if (names(parsed[field]).length === 0) continue;
    findings.push({ rule, path, line: 0, message: `no ${field} in this package` });
  }
  const used = new Set(
    files
      .filter((file) => /^(shared|src|kthreads)\//.test(file.path))
      .flatMap((file) => importsOf(file.text).map((found) => found.specifier)),
  );
  for (const name of names(parsed.dependencies)) {
    if (used.has(name)) continue;
    findings.push({ rule, path, line: 0, message: `nothing imports ${name}` });
  }
  return findings;
}
