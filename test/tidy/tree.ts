// SPDX-License-Identifier: GPL-2.0-only
/**
 * The files of the project: what is tracked, and what is new and not ignored, so that a rule speaks
 * before a commit.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SourceFile } from './source.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Texts only; traces are data. */
const BINARY = /\.(gz|png|wasm)$/;

/** Every text file of the tree, by path. */
export function readTree(): SourceFile[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && !BINARY.test(path) && existsSync(join(ROOT, path)))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** A file of the tree, or undefined. */
export function fileOf(files: readonly SourceFile[], path: string): SourceFile | undefined {
  return files.find((file) => file.path === path);
}
