// SPDX-License-Identifier: MIT
/**
 * Source text in, source text out: the same program, on the same lines, whose element accesses and
 * method calls tell the race detector where they stand (rewrite.ts has the edits).
 *
 * Each access is a *site*: an object of the runtime that remembers which view was there last, and a
 * row (line, column, kind) of the module's table, which the first line of the edited module hands
 * over. A site on a line with the comment `kreclaim-racy: reason` (or under a line that has nothing
 * else) is meant to race: it is counted, with its reason, and not reported.
 */
import { type AnyNode, type Comment, type Options, type Program, parse } from 'acorn';
import MagicString from 'magic-string';
import { directivesOf, Rewriter } from './rewrite.ts';
import { RUNTIME_KEY } from './runtime_key.ts';
import { SourceError } from './source_error.ts';

export interface InstrumentOptions {
  /** How the source is read: `any` tries a module first, then a script. */
  readonly sourceType?: 'module' | 'commonjs' | 'any';
  /** Functions of the module may be called before it ran, since modules import each other. */
  readonly cyclic?: boolean;
  /** Also make a source map. */
  readonly map?: boolean;
}

export interface Instrumented {
  readonly code: string;
  readonly map?: string;
  /** Accesses that were made visible. */
  readonly sites: number;
  /** Forms that were left as they were: `line:column why`. */
  readonly skipped: readonly string[];
}

const RACY = /\bkreclaim-racy\b(?::[ \t]*(.*?))?\s*$/;

interface Parsed {
  readonly tree: Program;
  readonly isModule: boolean;
  readonly comments: readonly Comment[];
}

function parseAs(source: string, isModule: boolean): Parsed {
  const comments: Comment[] = [];
  const options: Options = {
    ecmaVersion: 'latest',
    sourceType: isModule ? 'module' : 'script',
    allowReturnOutsideFunction: !isModule,
    allowHashBang: true,
    preserveParens: true,
    onComment: comments,
  };
  if (!isModule) options.allowSuperOutsideMethod = false;
  return { tree: parse(source, options), isModule, comments };
}

function parseSource(source: string, url: string, sourceType: string): Parsed {
  let reason: unknown;
  for (const isModule of [true, false]) {
    if (sourceType === (isModule ? 'commonjs' : 'module')) continue;
    try {
      return parseAs(source, isModule);
    } catch (error) {
      reason ??= error;
    }
  }
  const { message, loc } = reason as SyntaxError & { loc?: { line: number; column: number } };
  const where = loc === undefined ? '' : `:${loc.line}:${loc.column + 1}`;
  throw new SourceError(`${url}${where}: ${message.replace(/ \(\d+:\d+\)$/, '')}`);
}

/** Offsets at which lines start. */
function lineStarts(source: string): number[] {
  const starts = [0];
  for (const match of source.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
    starts.push(match.index + match[0].length);
  }
  return starts;
}

/** @returns zero-based line of an offset */
function lineOf(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Reasons by zero-based line. @throws SourceError where a comment gives none */
function racyLines(
  source: string,
  url: string,
  starts: readonly number[],
  comments: readonly Comment[],
): Map<number, string> {
  const reasons = new Map<number, string>();
  for (const comment of comments) {
    const match = RACY.exec(comment.value);
    if (match === null) continue;
    const line = lineOf(starts, comment.start);
    if (!match[1]) {
      throw new SourceError(`${url}:${line + 1}: kreclaim-racy needs a reason: what is harmless`);
    }
    const alone = source.slice(starts[line], comment.start).trim() === '';
    reasons.set(alone ? lineOf(starts, comment.end) + 1 : line, match[1]);
  }
  return reasons;
}

/** A prefix that no name of the source has. */
function freePrefix(source: string): string {
  let prefix = '__k';
  while (source.includes(prefix)) prefix += '_';
  return prefix;
}

/** The first line's addition: helpers, sites, temporaries. */
function prologue(
  rewriter: Rewriter,
  prefix: string,
  url: string,
  table: readonly number[],
  racy: readonly (readonly [number, string])[],
  options: InstrumentOptions & { isModule: boolean },
): string {
  const count = rewriter.sites.length;
  const call =
    `globalThis[Symbol.for(${JSON.stringify(RUNTIME_KEY)})]` +
    `.module(${JSON.stringify(url)},[${table.join()}],${JSON.stringify(racy)})`;
  const helpers = ['r', 'w', 't', 'l', 'a'];
  const sites = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const temporaries =
    rewriter.moduleNames.size > 0 ? `var ${[...rewriter.moduleNames].join()};` : '';
  if (options.cyclic === true && options.isModule) {
    const made =
      `const m=${call};` +
      helpers.map((name) => `export const ${prefix}${name}=m.${name};`).join('') +
      sites.map((name, i) => `export const ${name}=m.s[${i}];`).join('');
    const names = [...helpers.map((name) => prefix + name), ...sites].join();
    const from = JSON.stringify(`data:text/javascript,${encodeURIComponent(made)}`);
    return `import{${names}}from${from};${temporaries}`;
  }
  const named = helpers.map((name) => `${name}:${prefix}${name}`).join();
  return `const{${named},s:[${sites.join()}]}=${call};${temporaries}`;
}

/**
 * Makes the element accesses of a source visible.
 * @param url names the source in reports
 * @returns the edited source; the source itself where it has no access
 * @throws SourceError where the source cannot be parsed
 */
export function instrument(
  source: string,
  url: string,
  options: InstrumentOptions = {},
): Instrumented {
  const { tree, isModule, comments } = parseSource(source, url, options.sourceType ?? 'any');
  const starts = lineStarts(source);
  const edit = new MagicString(source);
  const prefix = freePrefix(source);
  const directives = isModule ? [] : directivesOf(tree.body as AnyNode[]);
  const strict = isModule || directives.some(({ directive }) => directive === 'use strict');
  const rewriter = new Rewriter(source, edit, prefix, strict);
  rewriter.visit(tree);
  const place = (offset: number): readonly [number, number] => {
    const line = lineOf(starts, offset);
    return [line + 1, offset - (starts[line] as number) + 1];
  };
  const skipped = rewriter.skipped.map(({ start, why }) => `${place(start).join(':')} ${why}`);
  if (rewriter.sites.length === 0) return { code: source, sites: 0, skipped };
  const reasons = racyLines(source, url, starts, comments);
  const table: number[] = [];
  const racy: [number, string][] = [];
  rewriter.sites.forEach(({ start, kind }, i) => {
    const [line, column] = place(start);
    table.push(line, column, kind);
    const reason = reasons.get(line - 1);
    if (reason !== undefined) racy.push([i, reason]);
  });
  const text = prologue(rewriter, prefix, url, table, racy, { ...options, isModule });
  const last = directives.at(-1);
  if (last !== undefined) edit.prependLeft(last.end, `;${text}`);
  else {
    const hashbang = /^\ufeff?(?:#!.*(?:\r\n|[\n\r\u2028\u2029]|$))?/.exec(source)?.[0].length ?? 0;
    edit.prependLeft(hashbang, text);
  }
  const code = edit.toString();
  const sites = rewriter.sites.length;
  if (options.map !== true) return { code, sites, skipped };
  const map = edit.generateMap({ source: url, hires: 'boundary', includeContent: true });
  return { code, map: map.toString(), sites, skipped };
}
