// SPDX-License-Identifier: GPL-2.0-only
/** Bitmap: bits are claimed and given back by several threads without a lock. */
import { racy } from '../../dist/src/harness/race/annotations.js';
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  torn_claim: {
    says: 'a claim is a test and a set',
    module: 'bitmap',
    edits: [
      [
        'return (Atomics.or(words, base + (bit >>> 5), mask) & mask) !== 0;',
        `const seen = Atomics.load(words, base + (bit >>> 5));
         Atomics.store(words, base + (bit >>> 5), seen | mask);
         return (seen & mask) !== 0;`,
      ],
    ],
  },
  torn_release: {
    says: 'a bit is given back by a load and a store',
    module: 'bitmap',
    edits: [
      [
        'return (Atomics.and(words, base + (bit >>> 5), ~mask) & mask) !== 0;',
        `const seen = Atomics.load(words, base + (bit >>> 5));
         Atomics.store(words, base + (bit >>> 5), seen & ~mask);
         return (seen & mask) !== 0;`,
      ],
    ],
    variant: 'recycle',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { BIT_NONE, findNextZeroBit, testAndClearBitAtomic, testAndSetBitAtomic } =
  await load('bitmap');

/** Searches read plainly what others write: nothing may be left out as equivalent. */
const PLAIN = { reduction: false };

const BITS = 33;
const FIRST = 31;
const OWNED = 2;

/** Bits FIRST .. BITS-1 are free: one at the end of a word, one in the next. */
function nearlyFull() {
  const words = sharedWords(OWNED + BITS);
  words[0] = 0x7fffffff;
  return words;
}

/** Bits 30 and 31 are free. */
function sameWord() {
  const words = sharedWords(OWNED + BITS);
  words[0] = 0x3fffffff;
  words[1] = 1;
  return words;
}

/** Searches for a free bit and claims it. @returns it, BIT_NONE when there is none */
function claim(words) {
  const search = (from) => {
    return racy('a search is a hint', () => findNextZeroBit(words, 0, BITS, from));
  };
  for (let bit = search(0); bit !== BIT_NONE; ) {
    if (!testAndSetBitAtomic(words, 0, bit)) return bit;
    bit = search(bit + 1);
  }
  return BIT_NONE;
}

function claimer(words, context) {
  begin(context);
  return claim(words);
}

/** Claims a bit, owns it for a moment, gives it back, and claims again. */
function recycler(words, context) {
  begin(context);
  let claims = 0;
  for (let round = 0; round < 2; round++) {
    const bit = claim(words);
    if (bit === BIT_NONE) continue;
    claims++;
    expect(words[OWNED + bit] === 0, 'a bit has two owners');
    words[OWNED + bit] = context.id + 1;
    Atomics.load(words, OWNED + bit); // others may run here
    expect(words[OWNED + bit] === context.id + 1, 'a bit has two owners');
    words[OWNED + bit] = 0;
    expect(testAndClearBitAtomic(words, 0, bit), 'a bit that is owned was clear');
  }
  return claims;
}

function distinct(words, results) {
  const bits = results.filter((bit) => bit !== BIT_NONE);
  expect(new Set(bits).size === bits.length, 'a bit was claimed twice');
  expect(bits.length === Math.min(results.length, BITS - FIRST), 'a free bit was not found');
  for (const bit of bits) expect(bit >= FIRST && bit < BITS, 'a bit that was not free');
  expect(words[0] === -1, 'a bit was lost');
}

export const exploration = {
  subject: 'bitmap',
  asserts: 'a bit has one owner; a free bit is found; bits beside it are kept',
  plants,
  variants: {
    claim: {
      says: 'two claims, two free bits',
      setup: nearlyFull,
      ...PLAIN,
      threads: [claimer, claimer],
      check: distinct,
    },
    claim3: {
      says: 'three claims, two free bits',
      setup: nearlyFull,
      ...PLAIN,
      threads: [claimer, claimer, claimer],
      check: distinct,
    },
    recycle: {
      says: 'two threads claim and give back, twice',
      setup: sameWord,
      ...PLAIN,
      threads: [recycler, recycler],
      check: (words, results) => {
        expect(results[0] === 2 && results[1] === 2, 'a free bit was not found');
        expect(words[0] === 0x3fffffff && words[1] === 1, 'a bit was lost');
      },
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
