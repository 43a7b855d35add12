// SPDX-License-Identifier: GPL-2.0-only
/** Histograms: a row per thread; merging loses nothing, and merging meanwhile sees a part. */
import { racy } from '../../dist/src/harness/race/annotations.js';
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  torn_add: {
    says: 'one row for both threads, which add by a read, a pause and a write',
    module: 'histogram',
    edits: [
      [
        'const at = row * STRIDE + histogramBucket(ns);',
        'const at = STRIDE + histogramBucket(ns);',
      ],
      [
        'cells[at] = cells[at] + 1;',
        'const count = cells[at]; Atomics.load(cells, at); cells[at] = count + 1;',
      ],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { declareHistograms, HistogramMerge, histogramAdd } = await load('histogram');

/** Rows are plain words: nothing may be left out as equivalent. */
const PLAIN = { reduction: false };
const ROWS = 2;
const SMALL = 5;
const LARGE = 1000;

function tables() {
  return sharedTables((builder) => declareHistograms(builder, 'test', ROWS));
}

/** A moment at which others could run. */
function pause(table) {
  Atomics.load(table.cells, 0);
}

function adder(table, context) {
  begin(context);
  for (const ns of [SMALL, LARGE, SMALL]) {
    histogramAdd(table, context.id, ns);
    pause(table);
  }
}

function merged(table) {
  const merge = new HistogramMerge();
  for (let row = 0; row < ROWS; row++) merge.addRow(table, row);
  return merge.summary();
}

function merger(table, context) {
  begin(context);
  pause(table);
  const look = () => racy('an entry may be late', () => merged(table));
  const first = look();
  pause(table);
  const { count, maxNs } = look();
  expect(count >= first.count && count <= 6, `${count} entries after ${first.count}`);
  expect(maxNs >= first.maxNs && maxNs <= LARGE, `a maximum of ${maxNs}`);
}

function complete(threads) {
  return (table) => {
    const { count, meanNs, maxNs } = merged(table);
    expect(count === threads * 3, `${count} entries, not ${threads * 3}`);
    expect(maxNs === LARGE, `a maximum of ${maxNs}`);
    expect(meanNs === (2 * SMALL + LARGE) / 3, `a mean of ${meanNs}`);
  };
}

export const exploration = {
  subject: 'histogram',
  asserts: 'a merge counts every entry once; one that is made meanwhile counts a part',
  plants,
  variants: {
    two: { says: 'two rows', setup: tables, ...PLAIN, threads: [adder, adder], check: complete(2) },
    merge: {
      says: 'a merge while a row is added to',
      setup: tables,
      ...PLAIN,
      threads: [adder, merger],
      check: complete(1),
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
