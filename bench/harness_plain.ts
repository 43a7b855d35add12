// SPDX-License-Identifier: GPL-2.0-only
/**
 * One thread that reads or writes a view of 64 Ki elements without Atomics, over and over: what
 * race detection makes of such a loop. `?kind=` says which; `&touch` synchronises before each pass:
 * then every access is compared with what was there before, and no pass profits from the last.
 */

/** Elements of the view. */
export const ELEMENTS = 1 << 16;
/** Passes over it in one execution. */
export const PASSES = 64;

interface Memory {
  readonly plain: Int32Array<SharedArrayBuffer>;
  readonly floats: Float64Array<SharedArrayBuffer>;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** The view, one of floats, and a word of Atomics. */
export function setup(): Memory {
  return {
    plain: new Int32Array(new SharedArrayBuffer(ELEMENTS * 4)),
    floats: new Float64Array(new SharedArrayBuffer(ELEMENTS * 8)),
    words: new Int32Array(new SharedArrayBuffer(64)),
  };
}

function sum(view: Int32Array): number {
  let total = 0;
  for (let i = 0; i < view.length; i++) total = (total + (view[i] as number)) | 0;
  return total;
}

function fill(view: Int32Array, value: number): void {
  for (let i = 0; i < view.length; i++) view[i] = value;
}

function sumFloats(view: Float64Array): number {
  let total = 0;
  for (let i = 0; i < view.length; i++) total += view[i] as number;
  return total;
}

const query = new URL(import.meta.url).searchParams;
const kind = query.get('kind');
const touch = query.get('touch') !== null;

/** Thread 0: all passes. */
export function first({ plain, floats, words }: Memory): number {
  let total = 0;
  for (let pass = 0; pass < PASSES; pass++) {
    if (touch) Atomics.store(words, 0, pass);
    if (kind === 'sum') total += sum(plain);
    else if (kind === 'fill') fill(plain, pass);
    else total += sumFloats(floats);
  }
  return total;
}

/** Thread 1: nothing. */
export function second(): void {}
