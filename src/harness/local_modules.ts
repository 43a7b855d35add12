// SPDX-License-Identifier: MIT
/**
 * A scenario's own source files: its module, and what it imports by a relative path, and what those
 * import. A replay is good for these bytes alone. Imports are found as text, since a file that does
 * not parse has to be read too; packages are not followed.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { parse } from 'acorn';

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;
/** Files that are followed, at most. */
const FILES_MAX = 500;

/** @returns absolute paths: the file itself first; files that are not there are left out */
export function localModules(file: string): string[] {
  const found = new Set([resolve(file)]);
  for (const path of found) {
    if (found.size >= FILES_MAX) break;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      continue;
    }
    for (const match of text.matchAll(IMPORT)) {
      const target = resolve(dirname(path), match[1] as string);
      if (existsSync(target)) found.add(target);
    }
  }
  return [...found];
}

/** @returns sha256 of a file as hexadecimal digits, empty where it cannot be read */
export function fileDigest(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return '';
  }
}

/** @returns path relative to `base`, with slashes, and digest of each */
export function moduleDigests(files: readonly string[], base: string): Record<string, string> {
  const entries = files.map((file) => [portable(relative(base, file)), fileDigest(file)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

/** A path with slashes. */
export function portable(path: string): string {
  return path.replaceAll('\\', '/');
}

/** @returns `file:line:column: what` of the first module that does not parse; null where all do */
export function findSyntaxError(file: string): string | null {
  for (const path of localModules(file)) {
    if (!/\.m?js$/.test(path)) continue;
    try {
      const text = readFileSync(path, 'utf8');
      parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
    } catch (error) {
      const { loc, message } = error as { loc?: { line: number; column: number }; message: string };
      if (loc === undefined) continue;
      const what = message.replace(/ \(\d+:\d+\)$/, '');
      return `${path}:${loc.line}:${loc.column + 1}: does not parse: ${what}`;
    }
  }
  return null;
}
