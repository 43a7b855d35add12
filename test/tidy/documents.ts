// SPDX-License-Identifier: GPL-2.0-only
/**
 * Documents that must not drift from the code: the lock order, the map of files to the kernel's,
 * and the comments on what is exported.
 */
import { type Finding, findAll, lineAt, type SourceFile, split } from './source.ts';

/** Class names of `LOCK_ORDER`, outer to inner, without `unclassed`, which has no place. */
export function lockOrderOfCode(text: string): string[] {
  const { bare } = split(text);
  const body = /LOCK_ORDER\s*=\s*\[([\s\S]*?)\]/.exec(bare)?.[1] ?? '';
  return [...body.matchAll(/'([^']+)'/g)]
    .map((match) => match[1] as string)
    .filter((name) => name !== 'unclassed');
}

/**
 * Class names of the document's fenced block `lock-order`: one a line, indented as they like; what
 * follows two spaces, a dash or a bracket is a remark.
 */
export function lockOrderOfDocument(text: string): string[] | null {
  const body = /^```lock-order\n([\s\S]*?)^```/m.exec(text)?.[1];
  if (body === undefined) return null;
  return body
    .split('\n')
    .map((line) => line.trim().split(/ {2}| [—–(-]/)[0] as string)
    .filter((name) => name !== '');
}

/** docs/locking.md gives the order that the lock-order checker is given. */
export function checkLockOrder(code: SourceFile, document: SourceFile): Finding[] {
  const rule = 'lock order';
  const { path } = document;
  const want = lockOrderOfCode(code.text);
  const have = lockOrderOfDocument(document.text);
  if (have === null) return [{ rule, path, line: 0, message: 'has no ```lock-order block' }];
  const at = Math.max(want.length, have.length);
  for (let i = 0; i < at; i++) {
    if (have[i] === want[i]) continue;
    const [here, there] = [have[i] ?? 'nothing', want[i] ?? 'nothing'];
    const message = `place ${i + 1} is '${here}'; in code '${there}'`;
    return [{ rule, path, line: 0, message }];
  }
  return [];
}

/** Every file of the engine and the threads is in docs/kernel_map.md; every file there exists. */
export function checkKernelMap(map: SourceFile, files: readonly SourceFile[]): Finding[] {
  const rule = 'kernel map';
  const ours = files
    .map((file) => file.path)
    .filter((path) => /^(src\/mm|kthreads)\/[^/]+\.ts$/.test(path));
  const named = new Set(
    [...map.text.matchAll(/`?\b((?:(?:src\/mm|kthreads)\/)?[a-z0-9_]+\.ts)\b`?/g)].map(
      (match) => match[1] as string,
    ),
  );
  const findings: Finding[] = [];
  for (const path of ours) {
    if (named.has(path) || named.has(path.slice(path.lastIndexOf('/') + 1))) continue;
    findings.push({ rule, path: map.path, line: 0, message: `does not name ${path}` });
  }
  const all = files.map((file) => file.path);
  for (const name of named) {
    if (all.some((path) => path === name || path.endsWith(`/${name}`))) continue;
    const line = lineAt(map.text, map.text.indexOf(name));
    findings.push({ rule, path: map.path, line, message: `names ${name}, which is not there` });
  }
  return findings;
}

/** No gap is left for somebody to fill. */
export function checkGaps({ path, text }: SourceFile): Finding[] {
  return findAll('gaps', path, text, /<!--\s*fill\b/gi, () => 'left to be filled in');
}

/** An exported function or class, with the block comment before it, if any. */
interface Exported {
  readonly name: string;
  readonly kind: string;
  readonly comment: string;
  readonly line: number;
}

const COMMENT = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?/;
const DECLARED = /^export (?:async )?(?:abstract )?(function\*?|class) (\w+)/;
const EXPORTED = new RegExp(COMMENT.source + DECLARED.source, 'gm');

export function exportsOf(text: string): Exported[] {
  return [...text.matchAll(EXPORTED)].map((match) => ({
    name: match[3] as string,
    kind: match[2] as string,
    comment: match[1] ?? '',
    line: lineAt(text, match.index + match[0].length - 1),
  }));
}

/** Every exported function and class of the substrate and the engine has a doc comment. */
export function checkDocComments({ path, text }: SourceFile): Finding[] {
  const rule = 'doc comment';
  if (!/^(shared|src\/(mm|harness)|kthreads)\/[^/]+\.ts$/.test(path)) return [];
  return exportsOf(text)
    .filter(({ comment }) => comment.trim() === '')
    .map(({ name, kind, line }) => ({
      rule,
      path,
      line,
      message: `exported ${kind} ${name} has no doc comment`,
    }));
}

/** Calls that take a lock or wait: `spinLock`, `ptlLock`, `rwsemDownRead`, `waitSleep`, ... */
const TAKES =
  /\b(?!assert|\w*MightSleep)(\w*(?:Lock|DownRead|DownWrite|Sleep)|synchronizeRcu|waitEvent\w*)\(/g;

/**
 * An exported function of the substrate or the engine that takes a lock or waits has `@context`.
 */
export function checkContexts({ path, text }: SourceFile): Finding[] {
  if (!/^(shared|src\/mm)\/[^/]+\.ts$/.test(path)) return [];
  const { code } = split(text);
  const lines = code.split('\n');
  return exportsOf(text).flatMap(({ name, kind, comment, line }) => {
    if (kind === 'class' || comment.includes('@context')) return [];
    const end = lines.findIndex((text, at) => at >= line && text.startsWith('}'));
    const body = lines.slice(line, end).join('\n');
    const taken = new Set([...body.matchAll(TAKES)].map((match) => match[1] as string));
    if (taken.size === 0) return [];
    const message = `${name} calls ${[...taken].join(', ')} but its comment has no @context`;
    return [{ rule: 'context', path, line, message }];
  });
}
