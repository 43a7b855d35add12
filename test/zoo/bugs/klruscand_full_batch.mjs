// SPDX-License-Identifier: GPL-2.0-only
/**
 * klruscand, the batch: the page at which it is full is not put into the next one.
 *
 * Fails when: both pages are accessed before the scan; the batch holds one.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const YOUNG = 0;
const HOT = 2;
const PAGES = 2;
const BATCH = 1;

export const threads = [cpu, cpu, klruscand];

export function setup() {
  return { w: words(HOT + PAGES) };
}

function cpu({ w }, { id }) {
  Atomics.store(w, YOUNG + id, 1);
}

function klruscand({ w }) {
  let batch = [];
  const flush = () => {
    for (const page of batch) Atomics.add(w, HOT + page, 1);
    batch = [];
  };
  for (let page = 0; page < PAGES; page++) {
    if (Atomics.exchange(w, YOUNG + page, 0) === 0) continue;
    const full = batch.length === BATCH;
    if (full) flush();
    if (!full || FIXED) batch.push(page);
  }
  flush();
}

export function check({ w }) {
  for (let page = 0; page < PAGES; page++) {
    must(w[YOUNG + page] + w[HOT + page] === 1, `the access to page ${page} was lost`);
  }
}
