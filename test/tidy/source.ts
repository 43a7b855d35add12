// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a rule sees of a file, and what it says about it.
 *
 * A rule is a function of (path, text), or of all files at once where it is about the tree. Text is
 * split into three layers of equal length, so that an offset means the same line in each: `code`
 * (comments and the insides of strings blanked), `comments` (all but comments blanked), and `bare`
 * (only comments blanked). A word in a string is then no code, and a word in a comment neither.
 */

/** Where the harness takes `Atomics`, time and chance, and puts its own in their place. */
export const SEAM = /^src\/harness\/(native|(\w+\/)?patch\w*)\.ts$/;

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly rule: string;
  readonly path: string;
  /** 1-based; 0 where the finding is about the file. */
  readonly line: number;
  readonly message: string;
}

export interface Layers {
  readonly code: string;
  readonly comments: string;
  readonly bare: string;
}

/** One finding on one line, as the test prints it. */
export function formatFinding(finding: Finding): string {
  return `${finding.path}:${finding.line}: ${finding.rule}: ${finding.message}`;
}

/** 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

/** Every match of a pattern in a layer, as findings. */
export function findAll(
  rule: string,
  path: string,
  layer: string,
  pattern: RegExp,
  message: (match: RegExpMatchArray) => string,
): Finding[] {
  const findings: Finding[] = [];
  for (const match of layer.matchAll(pattern)) {
    findings.push({ rule, path, line: lineAt(layer, match.index), message: message(match) });
  }
  return findings;
}

type Kind = 'code' | 'comment' | 'string';

const LINE_COMMENT = /\/\/[^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?(?:\*\/|$)/y;
const QUOTED = /'(?:\\.|[^'\\\n])*'?|"(?:\\.|[^"\\\n])*"?/y;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;
/** What may stand before a regular expression; after anything else a slash divides. */
const BEFORE_REGEX = /(?:^|[=([{,;:!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of))\s*$/;

/**
 * Splits a text into its layers. Knows comments, strings, templates with nested expressions and
 * regular expressions; anything else is code.
 */
export function split(text: string): Layers {
  const kinds: Kind[] = new Array(text.length).fill('code');
  const mark = (from: number, to: number, kind: Kind) => kinds.fill(kind, from, to);
  const take = (pattern: RegExp, at: number): number => {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : 0;
  };
  // Depth of braces inside each open `${`; a template resumes where its depth closes.
  const templates: number[] = [];
  const templateText = (from: number): number => {
    let at = from;
    while (at < text.length && text[at] !== '`') {
      if (text.startsWith('${', at)) {
        mark(from, at, 'string');
        templates.push(0);
        return at + 2;
      }
      at += text[at] === '\\' ? 2 : 1;
    }
    mark(from, Math.min(at, text.length), 'string');
    return at + 1;
  };
  for (let at = 0; at < text.length; ) {
    const char = text[at] as string;
    let end = 0;
    if (char === '/') {
      end = take(LINE_COMMENT, at) || take(BLOCK_COMMENT, at);
      if (end > 0) mark(at, end, 'comment');
      else if (BEFORE_REGEX.test(text.slice(Math.max(0, at - 40), at))) {
        end = take(REGEX, at);
        if (end > 0) mark(at + 1, end - 1, 'string');
      }
    } else if (char === "'" || char === '"') {
      end = take(QUOTED, at);
      mark(at + 1, end - 1, 'string');
    } else if (char === '`') end = templateText(at + 1);
    else if (char === '{' && templates.length > 0) templates.push((templates.pop() ?? 0) + 1);
    else if (char === '}' && templates.length > 0) {
      const depth = templates.pop() ?? 0;
      if (depth === 0) end = templateText(at + 1);
      else templates.push(depth - 1);
    }
    at = end > at ? end : at + 1;
  }
  const layer = (keep: (kind: Kind) => boolean) =>
    text.replace(/[^\n]/g, (c, at: number) => (keep(kinds[at] as Kind) ? c : ' '));
  return {
    code: layer((kind) => kind === 'code'),
    comments: layer((kind) => kind === 'comment'),
    bare: layer((kind) => kind !== 'comment'),
  };
}
