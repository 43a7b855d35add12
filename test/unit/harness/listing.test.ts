// SPDX-License-Identifier: GPL-2.0-only
/** The space-time listing: what a step is called, what is folded, what is left out. */
import { describe, expect, it } from 'vitest';
import { AddressNames } from '../../../dist/src/harness/address_names.js';
import {
  describeStep,
  type Entry,
  makeListing,
  type Step,
} from '../../../dist/src/harness/listing.js';
import { listingLines } from '../../../dist/src/harness/listing_text.js';
import { basesOf } from '../../../dist/src/harness/locate.js';
import {
  OP_CAS,
  OP_LOAD,
  OP_NOTIFY,
  OP_RESUME,
  OP_RMW,
  OP_START,
  OP_STORE,
  OP_WAIT,
} from '../../../dist/src/harness/ops.js';
import { readFrames } from '../../../dist/src/harness/stack_frames.js';

const words = new Int32Array(new SharedArrayBuffer(64));
const other = new SharedArrayBuffer(128);
const state = {
  words,
  half: new Int16Array(words.buffer, 32, 8),
  raw: other,
  list: [{ big: new BigInt64Array(other, 64, 2) }],
};
const places = new AddressNames(state);
const [base = 0, second = 0] = basesOf([64, 128]);
const names = ['a', 'b'];

const step = (partial: Partial<Step>): Step => ({
  ...{ step: 0, thread: 0, kind: OP_LOAD, loc: base, bytes: 4, aux: 0, seen: null, left: null },
  ...{ frames: [], ...partial },
});

describe('names of places', () => {
  it.each([
    [base, 4, 'state.words[0]'],
    [base + 12, 4, 'state.words[3]'],
    [base + 34, 2, 'state.half[1]'],
    [base + 32, 4, 'state.words[8]'],
    [second + 16, 4, 'state.raw+16'],
    [second + 72, 8, 'state.list[0].big[1]'],
    [-1, 0, 'nothing'],
    [0x6000_0000, 4, 'memory outside the state'],
  ])('%i, %i bytes wide: %s', (address, bytes, expected) => {
    expect(places.name(address, bytes)).toBe(expected);
  });
});

describe('what a step did', () => {
  it.each([
    [{ kind: OP_START, loc: -1 }, 'starts'],
    [{ kind: OP_LOAD, seen: 7, left: 7 }, 'load state.words[0] = 7'],
    [{ kind: OP_LOAD, aux: 7 }, 'load state.words[0] = 7'],
    [{ kind: OP_STORE, seen: 0, left: 1 }, 'store state.words[0]: 0 -> 1'],
    [{ kind: OP_RMW, seen: 1n, left: 2n }, 'rmw state.words[0]: 1 -> 2'],
    [{ kind: OP_CAS, seen: 0, left: 1 }, 'compareExchange state.words[0]: 0 -> 1'],
    [{ kind: OP_CAS, seen: 1, left: 1 }, 'compareExchange state.words[0] = 1: fails'],
    [{ kind: OP_WAIT, aux: 1, seen: 0, left: 0 }, 'wait state.words[0] while 0: sleeps'],
    [{ kind: OP_WAIT, seen: 5, left: 0 }, 'wait state.words[0] while 0: is 5, goes on'],
    [{ kind: OP_RESUME, aux: 0 }, 'wait state.words[0]: woken'],
    [{ kind: OP_RESUME, aux: 1 }, 'wait state.words[0]: timed out'],
    [{ kind: OP_NOTIFY, aux: 2 }, 'notify state.words[0]: wakes b'],
    [{ kind: OP_NOTIFY, aux: 0 }, 'notify state.words[0]: wakes nobody'],
  ])('%o', (partial, expected) => {
    expect(describeStep(step(partial), places, names)).toBe(expected);
  });
});

describe('stacks', () => {
  it('keep the frames of the code under test', () => {
    const own = new URL('../../../dist/src/harness/patch.js', import.meta.url).href;
    const stack = [
      ...['Error', `    at patchedLoad (${own}:10:3)`, '    at lock (file:///a%20b/q.mjs:3:9)'],
      ...['    at file:///a%20b/q.mjs:7:1', '    at new Promise (<anonymous>)'],
      '    at run (node:internal/main:5:5)',
    ].join('\n');
    expect(readFrames(stack)).toEqual([
      { fn: 'lock', file: '/a b/q.mjs', line: 3, column: 9 },
      { fn: '', file: '/a b/q.mjs', line: 7, column: 1 },
    ]);
  });
});

const many = (count: number, make: (i: number) => Partial<Step>): Step[] =>
  Array.from({ length: count }, (_, i) => step({ step: i, ...make(i) }));
const notes = (entries: readonly Entry[]) =>
  entries.flatMap((entry) => ('note' in entry ? [entry.note] : []));
const listing = (steps: readonly Step[], idleFrom = steps.length) =>
  makeListing({ steps, names, places, idleFrom, edited: false });

describe('a long listing', () => {
  it('shows what repeats once, and its last turn where the values are others', () => {
    const alike = listing(many(10, () => ({ seen: 3, left: 3 })));
    expect(alike).toHaveLength(2);
    expect(notes(alike)).toEqual(['a: the same 9 times more']);
    const counting = listing(many(10, (i) => ({ kind: OP_RMW, seen: i, left: i + 1 })));
    expect(notes(counting)).toEqual(['a: the same 8 times more']);
    expect(counting).toHaveLength(3);
    const pairs = listing(many(12, (i) => ({ loc: base + 4 * (i % 2), thread: i % 2 })));
    expect(notes(pairs)).toEqual(['a, b: the same 2 steps 5 times more']);
  });

  it('leaves out the middle', () => {
    const entries = listing(many(500, (i) => ({ loc: base + 4 * ((i * i) % 13) })));
    expect(entries.length).toBeLessThanOrEqual(81);
    expect(notes(entries).at(-1)).toMatch(/^\d+ rows left out$/);
    expect(entries.at(-1)).toMatchObject({ step: 499 });
  });

  it('tells an idle tail in a line, but for sleeps and notifies', () => {
    const steps = many(60, (i) => (i === 30 ? { kind: OP_WAIT, aux: 1 } : { thread: i % 2 }));
    const entries = listing(steps, 2);
    expect(entries.map((entry) => ('note' in entry ? -1 : entry.step))).toEqual([0, 1, 30, -1]);
    expect(notes(entries)[0]).toBe(
      '58 steps that change nothing: a at state.words[0]; b at state.words[0]',
    );
  });
});

describe('as text', () => {
  const frames = readFrames('    at lock (/x/lock.mjs:9:2)\n    at a (/x/q.mjs:3:1)');
  const steps = [
    step({ step: 0, kind: OP_START, loc: -1 }),
    step({ step: 1, thread: 1, seen: 4, left: 4, frames }),
  ];

  it('has a column for each thread, marks switches, names both places', () => {
    const lines = listingLines(listing(steps), names, '/x/q.mjs');
    expect(lines[0]).toMatch(/^step {3}a {7}b {24}at$/);
    expect(lines[1]).toBe('   0   starts');
    expect(lines[2]).toMatch(/^ {3}1 > {9}load state\.words\[0\] = 4 {2}\/x\/lock\.mjs:9 < :3$/);
  });

  it('indents instead where columns would be too wide', () => {
    const long = ['a'.repeat(60), 'b'.repeat(60)];
    const lines = listingLines(listing(steps), long, '/x/q.mjs');
    expect(lines[1]).toBe(`   0   ${long[0]}: starts`);
    expect(lines[2]).toMatch(/^ {3}1 > {4}b{60}: load/);
  });
});
