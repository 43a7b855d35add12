// SPDX-License-Identifier: GPL-2.0-only
/** A machine whose readahead makes large folios for a file of the host, and a look at them. */
import { expect } from 'vitest';
import { rcuBarrier } from '../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { drainEverything } from '../../dist/src/mm/drain.js';
import { exitMm } from '../../dist/src/mm/exit_mm.js';
import { newFileRa } from '../../dist/src/mm/file_ra.js';
import { fileRead } from '../../dist/src/mm/filemap_io.js';
import { folioOrder, pageFolio } from '../../dist/src/mm/folio.js';
import { hostMount, hostOpenFile } from '../../dist/src/mm/hostfs.js';
import { mappingPeek } from '../../dist/src/mm/mapping.js';
import { memcgLeave, memcgRefresh } from '../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { closeFile } from '../../dist/src/mm/namei.js';
import { umountAll } from '../../dist/src/mm/super.js';
import { lruAddDrain } from '../../dist/src/mm/swap.js';
import { bootFixture, type FixtureOptions } from './mm_fixture.js';

export const PAGE = 4096;

/** What the host's file holds at a byte. */
export function byteAt(position: number): number {
  return (Math.floor(position / PAGE) * 7 + (position % PAGE) * 3 + 1) & 255;
}

/** @returns the bytes of a file of that many pages */
export function fileBytes(pages: number): Uint8Array {
  return Uint8Array.from({ length: pages * PAGE }, (_, i) => byteAt(i));
}

/** Boots with large folios of up to order 9, and opens file `f` of a directory of the host. */
export function bootFolios(dir: string, options: FixtureOptions = {}): { m: Mm; file: number } {
  const m = bootFixture({
    hostFiles: true,
    dirtyRatio: 100,
    filePagesMax: 8192,
    pages: 2048,
    fileLargeFolios: 9,
    vmasMax: 64,
    mmsMax: 8,
    ...options,
  });
  memcgRefresh(m, 1);
  return { m, file: hostOpenFile(m, hostMount(m, dir, 'a'), 'f', false) };
}

/** Reads pages one by one, as a sequential reader does; each is what it should be. */
export function readPages(m: Mm, file: number, from: number, to: number): void {
  const ra = newFileRa();
  const bytes = new Uint8Array(PAGE);
  for (let page = from; page < to; page++) {
    expect(fileRead(m, file, bytes, page * PAGE, ra)).toBe(PAGE);
    expect([bytes[0], bytes[PAGE - 1]]).toEqual([byteAt(page * PAGE), byteAt(page * PAGE + 4095)]);
  }
}

/** Orders of the folios that cache a file, as [first page, order]. */
export function foliosOf(m: Mm, file: number, pages: number): [number, number][] {
  const all: [number, number][] = [];
  for (let at = 0; at < pages; at++) {
    const page = mappingPeek(m, file, at);
    if (page > 0 && pageFolio(m, page) === page) all.push([at, folioOrder(m, page)]);
  }
  return all;
}

/** The first folio of an order. @returns its head and its first page */
export function folioOf(m: Mm, file: number, pages: number, order: number) {
  const found = foliosOf(m, file, pages).find(([, one]) => one === order);
  expect(found, `a folio of order ${order}`).toBeDefined();
  const index = (found as [number, number])[0];
  return { index, pfn: mappingPeek(m, file, index) };
}

/** As bootFolios, all pages of the file read; and its first folio of order 4. */
export function cachedFolios(dir: string, pages: number, options: FixtureOptions = {}) {
  const machine = bootFolios(dir, options);
  readPages(machine.m, machine.file, 0, pages);
  lruAddDrain(machine.m);
  return { ...machine, ...folioOf(machine.m, machine.file, pages, 4) };
}

export function sound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

/** Everything is sound, leaves, and nothing is left. */
export function finish(m: Mm, file: number, others: readonly number[] = []): void {
  sound(m);
  closeFile(m, file);
  for (const mm of [...others, 1]) expect(exitMm(m, mm)).toBe(true);
  expect(umountAll(m)).toBe(0);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}
