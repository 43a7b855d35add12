// SPDX-License-Identifier: MIT
/** Whether a thread has to install module hooks at all: known before anything of them is loaded. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @returns true where this Node blanks out types by itself */
export function stripsTypes(): boolean {
  return Boolean((process as { features?: { typescript?: unknown } }).features?.typescript);
}

const TYPED_URL = /\.[mc]?ts(?:$|[?#])/;
const TYPED_IMPORT = /['"]\.{1,2}\/[^'"]*\.[mc]?ts['"]/;

/**
 * @returns true when a scenario at this URL cannot be loaded, or looked into, without hooks. Of
 * what it imports, only the names that it says itself are seen: a module of TypeScript behind one
 * of JavaScript needs `race`, or a Node that strips types
 */
export function needsHooks(url: string, { race }: { readonly race: boolean }): boolean {
  if (race) return true;
  if (stripsTypes()) return false;
  if (TYPED_URL.test(url)) return true;
  const file = fileURLToPath(url.replace(/[?#].*$/, ''));
  return existsSync(file) && TYPED_IMPORT.test(readFileSync(file, 'utf8'));
}
