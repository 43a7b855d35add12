// SPDX-License-Identifier: MIT
/**
 * Which modules are changed on their way in, and how:
 *
 *   .ts .mts .cts           types are blanked out, where Node cannot do it, or before the next step
 *   modules of the user     element accesses are made visible, when races are looked for: all but
 *                           node_modules, and of that the packages asked for; never the harness
 *
 * One set of rules for the two kinds of hooks that Node has; nothing here is asynchronous.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SourceError } from './source_error.ts';
import { stripTypes } from './strip_types.ts';

export interface SourceRules {
  /** Instrument the user's modules. */
  readonly race: boolean;
  /** Packages of node_modules that are the user's too. */
  readonly include: readonly string[];
}

/** A module's source, as it will run. */
export interface ChangedSource {
  readonly format: 'module' | 'commonjs';
  readonly source: string;
}

const TYPED = /\.[mc]?ts$/;
/** The folder of the harness, as URLs of its modules start. */
const OWN = new URL('../', import.meta.url).href;
const MODULE_SYNTAX = /^\s*(?:import\b(?!\s*\()|export\b)/m;
const RELATIVE_IMPORT = /\b(?:import|export)\b[^'"()]*?['"](\.{1,2}\/[^'"]+)['"]/g;

function pathOf(url: string): string {
  return fileURLToPath(url.replace(/[?#].*$/, ''));
}

/** @returns true when a module's element accesses are to be made visible */
export function isInstrumented(url: string, rules: SourceRules): boolean {
  if (!rules.race || !url.startsWith('file:') || url.startsWith(OWN)) return false;
  const at = url.lastIndexOf('/node_modules/');
  if (at < 0) return true;
  const inside = url.slice(at + '/node_modules/'.length);
  return rules.include.some((name) => inside.startsWith(`${name}/`));
}

/** @returns true when a module is TypeScript */
export function isTyped(url: string): boolean {
  return url.startsWith('file:') && TYPED.test(url.replace(/[?#].*$/, ''));
}

let instrumenter: typeof import('./instrument.ts') | null = null;

/** Loads the parser. @context before `instrumentedSource`; who only strips types does without */
export async function prepareRules({ race }: SourceRules): Promise<void> {
  if (race) instrumenter = await import('./instrument.ts');
}

/** What package.json says of the files of a folder. */
function packageType(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'package.json');
    if (existsSync(file)) {
      const { type } = JSON.parse(readFileSync(file, 'utf8')) as { type?: string };
      return type ?? null;
    }
    if (dirname(at) === at) return null;
  }
}

function formatOf(path: string, source: string): 'module' | 'commonjs' {
  if (path.endsWith('.mts')) return 'module';
  if (path.endsWith('.cts')) return 'commonjs';
  const type = packageType(dirname(path));
  if (type === 'module' || type === 'commonjs') return type;
  return MODULE_SYNTAX.test(source) ? 'module' : 'commonjs';
}

/** @returns the JavaScript of a TypeScript file @throws SourceError */
export function typedSource(url: string): ChangedSource {
  const path = pathOf(url);
  const source = readFileSync(path, 'utf8');
  return { format: formatOf(path, source), source: stripTypes(source, path) };
}

/** @returns the source with its accesses made visible @throws SourceError */
export function instrumentedSource(url: string, source: string, format: string): string {
  if (instrumenter === null) return source;
  const sourceType = format === 'commonjs' ? 'commonjs' : 'module';
  const cyclic = sourceType === 'module' && importsItself(url);
  try {
    return instrumenter.instrument(source, url, { sourceType, cyclic }).code;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new SourceError(error.message.replace(url, pathOf(url)));
  }
}

const imports = new Map<string, readonly string[]>();

function importsOf(url: string): readonly string[] {
  let found = imports.get(url);
  if (found === undefined) {
    const path = pathOf(url);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    found = [...text.matchAll(RELATIVE_IMPORT)].map(
      (match) => new URL(match[1] as string, url).href,
    );
    imports.set(url, found);
  }
  return found;
}

/**
 * Whether functions of a module may run before the module has, because modules that it imports
 * import it in turn.
 */
function importsItself(url: string): boolean {
  const seen = new Set<string>();
  const ahead = [...importsOf(url)];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (next === url) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    ahead.push(...importsOf(next));
  }
  return false;
}
