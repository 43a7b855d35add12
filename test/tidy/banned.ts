// SPDX-License-Identifier: GPL-2.0-only
/**
 * Names that code may not use, with where they may be used. Time and chance have one source each,
 * so that a run can be replayed; functions whose last bit differs between engines stay out of what
 * must repeat; `enum` does not survive erasing types.
 */
import { type Finding, findAll, SEAM, type SourceFile, split } from './source.ts';

/**
 * Files that may read clocks and set timers: the main side, which watches threads and talks to
 * people, and the harness, which gives threads their time.
 */
const MAIN_SIDE =
  /^(src\/[^/]+\.ts|src\/(cli|deterministic|harness|report)\/|bench\/|scripts\/|test\/|examples\/)/;

const CLOCK =
  /\bDate\b|\bperformance\s*\.|\bprocess\s*\.\s*hrtime\b|\bset(?:Timeout|Interval|Immediate)\b/g;

/** Clocks and timers: shared/ktime.ts, and the main thread's side. */
export function checkClocks({ path, text }: SourceFile): Finding[] {
  if (path === 'shared/ktime.ts' || MAIN_SIDE.test(path)) return [];
  const say = (match: RegExpMatchArray) => `${match[0]}: only shared/ktime.ts reads clocks`;
  return findAll('clocks', path, split(text).code, CLOCK, say);
}

/** Shows that the harness seeds chance, and so must draw some. */
const SEEDED = 'test/fixtures/harness/clocks.mjs';

/** Chance: shared/prng.ts, nowhere else, tests included. */
export function checkChance({ path, text }: SourceFile): Finding[] {
  if (path === 'shared/prng.ts' || path === SEEDED || SEAM.test(path)) return [];
  const pattern =
    /\bMath\s*\.\s*random\b|\brandom(?:Bytes|Int|UUID|FillSync)\b|\bgetRandomValues\b/g;
  const say = (match: RegExpMatchArray) => `${match[0]}: only shared/prng.ts makes random numbers`;
  return findAll('chance', path, split(text).code, pattern, say);
}

const EXACT_TREES = /^(shared|src\/mm|src\/workload|kthreads)\//;
const INEXACT =
  /\bMath\s*\.\s*(?:a?(?:sin|cos|tan)h?|atan2|exp|expm1|log|log2|log10|log1p|pow|cbrt|hypot)\b/g;

/** Results that engines may round differently. `2 ** n` with whole n is exact and stays. */
export function checkExactMath({ path, text }: SourceFile): Finding[] {
  if (!EXACT_TREES.test(path)) return [];
  const say = (match: RegExpMatchArray) => `${match[0]} may differ in the last bit between engines`;
  return findAll('exact math', path, split(text).code, INEXACT, say);
}

/** Constructs that the house does without. */
export function checkConstructs({ path, text }: SourceFile): Finding[] {
  const { code } = split(text);
  const name = (match: RegExpMatchArray) => match[0].trim();
  return [
    ...findAll('enum', path, code, /^\s*(?:export |declare |const )*enum \w+/gm, name),
    ...findAll('escape', path, code, /\bas any\b|: any\b|<any>/g, name),
    ...findAll('escape', path, split(text).comments, /@ts-(?:ignore|nocheck|expect-error)/g, name),
  ];
}

/** Load modules before the machine runs: loading suspends. */
const LOADERS = ['kthreads/entry.ts', 'kthreads/load_module.ts'];
const THREAD_SIDE = /^(shared|src\/mm|kthreads)\//;

/**
 * Threads share words, not messages, and their functions are synchronous. Modules are loaded before
 * the machine runs.
 */
export function checkMessages({ path, text }: SourceFile): Finding[] {
  if (!THREAD_SIDE.test(path) || LOADERS.includes(path)) return [];
  const say = () => 'threads of a machine exchange no messages';
  return findAll('messages', path, split(text).code, /\bpostMessage\b|\bawait\b/g, say);
}
