// SPDX-License-Identifier: MIT
/**
 * TypeScript to JavaScript by blanking out the types: every character that stays keeps its line and
 * its column, so that reports need no source map. What cannot be blanked out (enum, parameter
 * properties, namespaces with values) is an error, as it is in Node's own type stripping.
 */
import { createRequire } from 'node:module';
import { SourceError } from './source_error.ts';

interface Stripper {
  transformSync(source: string, options: object): { readonly code: string };
}

interface StripFailure {
  readonly message?: string;
  readonly startLine?: number;
  readonly startColumn?: number;
}

/** Loaded at the first use: it takes some 40 ms. */
let stripper: Stripper | null = null;

/**
 * Blanks out the types of a source.
 * @param path names the source in errors
 * @throws SourceError `path:line:column: reason`
 */
export function stripTypes(source: string, path: string): string {
  stripper ??= createRequire(import.meta.url)('@swc/wasm-typescript') as Stripper;
  try {
    return stripper.transformSync(source, { mode: 'strip-only', filename: path, module: true })
      .code;
  } catch (error) {
    const { message, startLine, startColumn } = error as StripFailure;
    const at = startLine === undefined ? '' : `:${startLine}:${(startColumn ?? 0) + 1}`;
    throw new SourceError(`${path}${at}: ${message ?? String(error)}`);
  }
}
