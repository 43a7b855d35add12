// SPDX-License-Identifier: GPL-2.0-only
/**
 * What holds for every source file by itself: its licence line, a header that says what it is for,
 * its size, no unfinished marks, no skipped tests, nothing of the machine that it was written on.
 */
import { type Finding, findAll, type SourceFile, split } from './source.ts';

export const FILE_LINES_MAX = 600;
export const LINE_COLUMNS_MAX = 100;

const MIT_FOLDERS = /^(shared|src\/harness)\//;

/** The first line (the second, after `#!`) names the licence of the file's folder. */
export function checkLicence({ path, text }: SourceFile): Finding[] {
  const lines = text.split('\n', 2);
  const line = lines[0]?.startsWith('#!') ? 1 : 0;
  const licence = MIT_FOLDERS.test(path) ? 'MIT' : 'GPL-2.0-only';
  const comment = path === '.ci/run' || path.endsWith('.sh') ? '#' : '//';
  const want = `${comment} SPDX-License-Identifier: ${licence}`;
  if (lines[line] === want) return [];
  return [{ rule: 'licence', path, line: line + 1, message: `must be '${want}'` }];
}

/** After the licence line stands a comment of at least four words. */
export function checkHeader({ path, text }: SourceFile): Finding[] {
  const body = text.replace(/^(#!.*\n)?(\/\/|#) SPDX.*\n/, '');
  const header = /^\s*(\/\*[\s\S]*?\*\/|(?:(?:\/\/|#).*\n)+)/.exec(body)?.[1] ?? '';
  if ((header.match(/[A-Za-z]{2,}/g) ?? []).length >= 4) return [];
  return [
    { rule: 'header', path, line: 2, message: 'no header comment says what the file is for' },
  ];
}

/** At most 600 lines a file, 100 columns a line. */
export function checkSize({ path, text }: SourceFile): Finding[] {
  const rule = 'size';
  const lines = text.replace(/\n$/, '').split('\n');
  const findings: Finding[] = [];
  if (lines.length > FILE_LINES_MAX) {
    findings.push({ rule, path, line: 0, message: `${lines.length} lines; split at 600` });
  }
  lines.forEach((line, index) => {
    const columns = [...line].length;
    if (columns <= LINE_COLUMNS_MAX) return;
    findings.push({ rule, path, line: index + 1, message: `${columns} columns; 100 at most` });
  });
  return findings;
}

/** No unfinished marks in comments. */
export function checkMarks({ path, text }: SourceFile): Finding[] {
  const { comments } = split(text);
  const say = (match: RegExpMatchArray) => `unfinished: ${match[0]}`;
  return findAll('marks', path, comments, /\b(TODO|FIXME|XXX|HACK)\b/g, say);
}

/** No test is skipped, focused or promised. */
export function checkSkipped({ path, text }: SourceFile): Finding[] {
  const { code } = split(text);
  const pattern =
    /\b(?:it|test|describe)(?:\.\w+)*\.(skip|only|todo|fails)\w*\b|\bx(it|describe|test)\(/g;
  return findAll('skipped', path, code, pattern, (match) => `${match[0]} leaves tests out`);
}

// In pieces, so that this file does not break its own rule.
const FOREIGN = new RegExp(
  [
    ['(?<![\\w.])', '/work', '/'].join(''),
    ['/tmp', '/wt'].join(''),
    ['/far', 'm/'].join(''),
    ['bash_', 'jobs'].join(''),
    ['registry\\.', '(?:npmjs|yarnpkg)'].join(''),
    ['deb\\.', 'debian'].join(''),
    ['/(?:ro', 'ot|home)/[a-z]'].join(''),
  ].join('|'),
  'g',
);

/** No path of somebody's machine, no registry's host, in any tracked text. */
export function checkForeign({ path, text }: SourceFile): Finding[] {
  return findAll('foreign', path, text, FOREIGN, (match) => `'${match[0]}' is not of the project`);
}

/** Data files may not carry where packages were fetched from. */
export function checkLockfile({ path, text }: SourceFile): Finding[] {
  const say = () => 'names a registry; keep omit-lockfile-registry-resolved in .npmrc';
  return findAll('lockfile', path, text, /"resolved":/g, say).slice(0, 1);
}
