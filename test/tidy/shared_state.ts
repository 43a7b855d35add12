// SPDX-License-Identifier: GPL-2.0-only
/**
 * The rules about shared words: each column says who may write it and under what; each comment
 * about ordering has its partner; `Atomics` is called by its own name, so that what replaces the
 * global replaces every call.
 */
import { type Finding, findAll, lineAt, SEAM, type SourceFile, split } from './source.ts';

/** A column: a property of a schema, or a row of words that a local `words(...)` declares. */
const COLUMN = /\b(\w+): (?:'(?:i32|u32|u16|u8|f64)'|words\()/g;
/** A tag with what it needs: a lock, a thread. */
const TAG = /@(?:atomic\b|frozen\b|guardedBy +\S|owner +\S)/g;
/** A schema that stands for all uses of a local `words(...)`: each of them has its own tag. */
const HELPER = /^ *builder\.columns\(name, \{ words: 'i32' \}/;

/** The comment behind a line, or the one right above where that has no tag. */
function commentAt(
  bareLines: readonly string[],
  commentLines: readonly string[],
  at: number,
): string {
  let comment = commentLines[at] as string;
  for (let i = at - 1; i >= 0 && !/@\w/.test(comment); i--) {
    if (bareLines[i]?.trim() !== '' || commentLines[i]?.trim() === '') break;
    comment = `${commentLines[i]}${comment}`;
  }
  return comment;
}

/**
 * Every column carries exactly one of `@atomic`, `@guardedBy <lock>`, `@owner <thread>`, `@frozen`:
 * in the comment behind it or right above, or, for a schema that is written within the call, behind
 * the property that holds the column (`readonly cells: I32; // @owner ...`). `@racy` gives a
 * reason.
 */
export function checkColumnTags({ path, text }: SourceFile): Finding[] {
  const rule = 'column tag';
  const { bare, comments } = split(text);
  const bareLines = bare.split('\n');
  const commentLines = comments.split('\n');
  const findings: Finding[] = [];
  for (const match of bare.matchAll(COLUMN)) {
    const line = lineAt(bare, match.index);
    const here = bareLines[line - 1] as string;
    if (HELPER.test(here)) continue;
    let comment = commentAt(bareLines, commentLines, line - 1);
    if (here.includes('{') && !/@\w/.test(comment)) {
      const property = new RegExp(`\\breadonly ${match[1]}: (?:I32|U32|U16|U8|F64);`);
      const at = bareLines.findIndex((other) => property.test(other));
      if (at >= 0) comment = commentAt(bareLines, commentLines, at);
    }
    const tags = comment.match(TAG) ?? [];
    const say = (message: string) => findings.push({ rule, path, line, message });
    if (tags.length !== 1) {
      say(`${match[1]} has ${tags.length} of @atomic, @guardedBy L, @owner T, @frozen; needs one`);
    }
    if (/@racy\s*(\*\/)?\s*$/.test(comment)) say(`${match[1]}: @racy gives no reason`);
  }
  return findings;
}

/** A PAIRS tag names a place with a partner: it stands at least twice in the tree. */
export function checkPairs(files: readonly SourceFile[]): Finding[] {
  const places = new Map<string, Finding[]>();
  for (const { path, text } of files) {
    const { comments } = split(text);
    const pattern = /\bPAIRS\(([^)]*)\)/g;
    for (const match of comments.matchAll(pattern)) {
      const tag = match[1] as string;
      const message = `PAIRS(${tag}) has no partner`;
      const place = { rule: 'pairs', path, line: lineAt(comments, match.index), message };
      places.set(tag, [...(places.get(tag) ?? []), place]);
    }
  }
  return [...places.values()].filter((found) => found.length < 2).flat();
}

/** No alias, no destructuring, no passing on of `Atomics`. */
export function checkAtomics({ path, text }: SourceFile): Finding[] {
  if (SEAM.test(path)) return [];
  const { code } = split(text);
  const whole = /\bAtomics\b(?!\s*\.\s*\w+\s*(?:<[^>]*>)?\()(?! as unknown as)/g;
  return findAll(
    'atomics',
    path,
    code,
    whole,
    () => 'call Atomics.xxx(...) directly, without alias',
  );
}
