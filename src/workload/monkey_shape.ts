// SPDX-License-Identifier: GPL-2.0-only
/** What the zygote of workload monkey and its apps know in common, and the words between them. */
import { LINE_WORDS } from '../../shared/types.ts';
import type { Figures } from './figures.ts';
import type { ZipfTable } from './zipf.ts';

/** Ranges of pages that are mapped at the same place in all processes. */
export interface MonkeyShape {
  readonly prefix: string;
  readonly figures: Figures;
  /** Folder of the host for the library files. */
  readonly folder: string;
  readonly apps: number;
  /** Launches; 0 for as many as the seconds allow. */
  readonly launches: number;
  readonly seconds: number;
  /** Between two launches, in ms. */
  readonly thinkMs: number;
  /** Anonymous memory of the zygote, which apps inherit. */
  readonly zygote: { readonly first: number; readonly pages: number };
  /** Files that all map, one behind the other, each of so many pages. */
  readonly libraries: { readonly first: number; readonly files: number; readonly pages: number };
  /** An app's own: a private mapping of a file, and its heap. */
  readonly code: { readonly first: number; readonly pages: number };
  readonly heap: { readonly first: number; readonly pages: number };
  /** Part of the heap that a launch touches. */
  readonly touch: number;
  /** Apps by popularity, and pages of a heap. */
  readonly popularity: ZipfTable;
  readonly heapRanks: ZipfTable;
  /** MemAvailable and SwapFree in pages, below both of which an app is killed. */
  readonly minAvailable: number;
  readonly minSwap: number;
  /** Part of the time that somebody waited for memory, above which an app is killed. */
  readonly maxStall: number;
  /** Of each app a line of words: `ASKED`, `DONE`. */
  readonly words: Int32Array;
}

/** Launches that the zygote has asked an app for. @atomic written by the zygote */
const ASKED = 0;
/** Of which the app has done. @atomic written by the app; a new life of it begins anew */
const DONE = 1;

/** @returns words for so many apps */
export function monkeyWords(apps: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(apps * LINE_WORDS * 4));
}

/** Asks for a launch. @param value so many since the app lives @context the zygote */
export function ask({ words }: MonkeyShape, app: number, value: number): void {
  if (value === 1) Atomics.store(words, app * LINE_WORDS + DONE, 0);
  Atomics.store(words, app * LINE_WORDS + ASKED, value);
}

/** @returns launches that the app was asked for */
export function asked({ words }: MonkeyShape, app: number): number {
  return Atomics.load(words, app * LINE_WORDS + ASKED);
}

/** @returns launches that the app has done */
export function done({ words }: MonkeyShape, app: number): number {
  return Atomics.load(words, app * LINE_WORDS + DONE);
}

/** Says that a launch is done. @context the app */
export function finish({ words }: MonkeyShape, app: number, value: number): void {
  Atomics.store(words, app * LINE_WORDS + DONE, value);
}

/** What a page of a library begins with. */
export function libraryWord(file: number, page: number): number {
  return ((file + 1) << 20) | page;
}
