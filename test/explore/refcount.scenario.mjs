// SPDX-License-Identifier: GPL-2.0-only
/** Reference count: one decrement reaches 0, no increment revives, errors leave it saturated. */
import { expect, openSubject, sharedWords } from './subject.mjs';

const plants = {
  torn_decrement: {
    says: 'a decrement is a load and a store',
    module: 'refcount',
    edits: [
      [
        'const seen = Atomics.sub(words, index, nr);',
        'const seen = Atomics.load(words, index); Atomics.store(words, index, seen - nr);',
      ],
    ],
  },
  revival: {
    says: 'incNotZero adds without looking again',
    module: 'refcount',
    edits: [
      [
        'const was = Atomics.compareExchange(words, index, seen, seen + 1);',
        'const was = seen; Atomics.add(words, index, 1);',
      ],
    ],
    variant: 'revive',
  },
  blind_freeze: {
    says: 'freeze tests the count and then stores 0',
    module: 'refcount',
    edits: [
      [
        'return Atomics.compareExchange(words, index, expected, 0) === expected;',
        `const fits = Atomics.load(words, index) === expected;
         if (fits) Atomics.store(words, index, 0);
         return fits;`,
      ],
    ],
    variant: 'freeze',
  },
  leaves_zone: {
    says: 'touches do not put a saturated count back to the middle of its zone',
    module: 'refcount',
    edits: [
      ['Atomics.store(words, index, REFCOUNT_SATURATED);\n    return bug(', 'return bug('],
      [
        `if (seen === nr)
        return true;
    if (seen < 0)
        Atomics.store(words, index, REFCOUNT_SATURATED);`,
        `if (seen === nr)
        return true;
    if (seen < 0)
        return false;`,
      ],
    ],
    variant: 'saturate',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const refcount = await load('refcount');

const COUNT = 0;
const DATA = 1;
const FREED = 2;
const INSIDE = 3;

function counted(count) {
  return () => {
    const words = sharedWords(4);
    words[COUNT] = count;
    return words;
  };
}

/** Writes, then drops its reference. @returns 1 when it was the last */
function dropper(words, context) {
  begin(context);
  words[DATA + context.id] = 1;
  return refcount.refcountDecAndTest(words, COUNT) ? 1 : 0;
}

/** Takes a reference if the object is still there, uses the object, drops it. */
function reviver(words, context) {
  begin(context);
  if (!refcount.refcountIncNotZero(words, COUNT)) return 0;
  expect(Atomics.load(words, FREED) === 0, 'a reference to an object that was freed');
  return refcount.refcountDecAndTest(words, COUNT) ? 1 : 0;
}

function freer(words, context) {
  begin(context);
  const last = refcount.refcountDecAndTest(words, COUNT);
  if (last) Atomics.store(words, FREED, 1);
  return last ? 1 : 0;
}

/** Freezes at one reference, its own. @returns 1 when nobody else had any */
function freezer(words, context) {
  begin(context);
  if (!refcount.refcountFreeze(words, COUNT, 1)) return 0;
  expect(Atomics.load(words, INSIDE) === 0, 'frozen while another has a reference');
  expect(Atomics.load(words, INSIDE) === 0, 'a reference was taken of a frozen count');
  refcount.refcountUnfreeze(words, COUNT, 1);
  return 1;
}

function user(words, context) {
  begin(context);
  if (!refcount.refcountIncNotZero(words, COUNT)) return 0;
  Atomics.add(words, INSIDE, 1);
  Atomics.sub(words, INSIDE, 1);
  refcount.refcountDec(words, COUNT);
  return 1;
}

/** @returns 1 when the misuse was told */
function told(misuse) {
  try {
    misuse();
    return 0;
  } catch (error) {
    if (error.name !== 'BugError') throw error;
    return 1;
  }
}

function overflower(words, context) {
  begin(context);
  return told(() => refcount.refcountInc(words, COUNT));
}

function toucher(words, context) {
  begin(context);
  return told(() => refcount.refcountDecAndTest(words, COUNT));
}

function oneLast(words, results) {
  expect(results.reduce((sum, last) => sum + last, 0) === 1, 'not exactly one saw 0');
  expect(words[COUNT] === 0, 'the count does not end at 0');
}

export const exploration = {
  subject: 'refcount',
  asserts:
    'one decrement sees 0; no reference to a freed or frozen object; misuse is told and saturates',
  plainData: false,
  plants,
  variants: {
    drop: {
      says: 'two last references',
      setup: counted(2),
      threads: [dropper, dropper],
      check: oneLast,
    },
    drop3: {
      says: 'three last references',
      setup: counted(3),
      threads: [dropper, dropper, dropper],
      check: oneLast,
    },
    revive: {
      says: 'last reference dropped while two try to take one',
      setup: counted(1),
      threads: [freer, reviver, reviver],
      check: oneLast,
    },
    freeze: {
      says: 'freeze against two users',
      setup: counted(1),
      threads: [freezer, user, user],
      check: (words) => expect(words[COUNT] === 1, 'the count does not end at 1'),
    },
    saturate: {
      says: 'an increment beyond the maximum, and a decrement',
      setup: counted(refcount.REFCOUNT_MAX),
      threads: [overflower, toucher],
      check: (words, results) => {
        const inOrder = results[0] === 0 && words[COUNT] === refcount.REFCOUNT_MAX;
        expect(inOrder || words[COUNT] < 0, `the count left its zone: ${words[COUNT]}`);
      },
    },
    saturate3: {
      says: 'two increments beyond the maximum, and a decrement',
      setup: counted(refcount.REFCOUNT_MAX),
      threads: [overflower, overflower, toucher],
      check: (words, results) => {
        expect(results[0] + results[1] >= 1, 'nobody was told');
        expect(words[COUNT] < 0, `the count left its zone: ${words[COUNT]}`);
      },
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
