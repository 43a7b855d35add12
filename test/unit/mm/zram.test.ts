// SPDX-License-Identifier: GPL-2.0-only
/** The zram store: every kind of page comes back, full is an answer, objects do not overlap. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../dist/shared/prng.js';
import { fillPage, pageWords } from '../../../dist/src/mm/content.js';
import { PAGE_SIZE } from '../../../dist/src/mm/limits.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { clusterLock, clusterUnlock } from '../../../dist/src/mm/swap_cluster.js';
import { allocSlot } from '../../../dist/src/mm/swapfile.js';
import {
  ZRAM_LZ,
  ZRAM_RAW,
  ZRAM_SAME,
  zramFreeLocked,
  zramReadInto,
  zramWrite,
} from '../../../dist/src/mm/zram.js';
import { zsFree, zsMalloc, zsUsage, zsView, zsWrite } from '../../../dist/src/mm/zsmalloc.js';
import { ZS_BUFFER_BLOCKS, ZS_PAGES_PER_BLOCK } from '../../../dist/src/mm/zsmalloc_sizes.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

const PFN = 5;

function roundTrip(m: Mm, slot: number): Int32Array {
  const back = new Int32Array(1024);
  zramReadInto(m, slot, back);
  return back;
}

function noise(words: Int32Array, seed: number): void {
  const prng = new Prng(seed);
  for (let i = 0; i < words.length; i++) words[i] = prng.nextU32();
}

/** Word of the pool: the last block that was ever in use. */
const POOL_FRESH = 1;

describe('zram', () => {
  it.each([
    ['a page like a program writes', ZRAM_LZ, (w: Int32Array) => fillPage(w, 1, 77)],
    ['an incompressible page, raw', ZRAM_RAW, (w: Int32Array) => noise(w, 3)],
    ['a same-filled page, as a word', ZRAM_SAME, (w: Int32Array) => w.fill(-559038737)],
  ])('keeps %s', (_name, kind, make) => {
    const m = bootFixture();
    const slot = allocSlot(m);
    make(pageWords(m, PFN));
    expect(zramWrite(m, PFN, slot)).toBe(true);
    expect(m.zram.kind[slot]).toBe(kind);
    expect(roundTrip(m, slot)).toEqual(new Int32Array(pageWords(m, PFN)));
  });

  it('compresses what programs write about three to one', () => {
    const m = bootFixture();
    const slot = allocSlot(m);
    fillPage(pageWords(m, PFN), 1, 12345);
    zramWrite(m, PFN, slot);
    const ratio = 4096 / (m.zram.size[slot] as number);
    expect(ratio).toBeGreaterThan(2.4);
    expect(ratio).toBeLessThan(3.6);
  });

  it('says no when the store is full, and keeps what it has', () => {
    const m = bootFixture({ swapPages: 64 });
    noise(pageWords(m, PFN), 9);
    let stored = 0;
    const handles: number[] = [];
    for (;;) {
      const handle = zsMalloc(m, 4096);
      if (handle === 0) break;
      handles.push(handle);
      stored++;
    }
    expect(stored).toBeGreaterThanOrEqual(64);
    const slot = allocSlot(m);
    expect(zramWrite(m, PFN, slot)).toBe(false);
    expect(m.zram.kind[slot]).toBe(0);
    for (const handle of handles) zsFree(m, handle);
    expect(zramWrite(m, PFN, slot)).toBe(true);
    clusterLock(m, slot);
    expect(zramFreeLocked(m, slot)).toBe(true);
    clusterUnlock(m, slot);
    expect(zsUsage(m)).toEqual({ objects: 0, blocks: 0, bytes: 0 });
  });

  it('never overlaps two objects (property)', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            size: fc.integer({ min: 1, max: 4096 }),
            drop: fc.boolean(),
            at: fc.nat(255),
          }),
          {
            maxLength: 200,
          },
        ),
        (steps) => {
          const m = bootFixture({ swapPages: 512 });
          const live: { handle: number; size: number; tag: number }[] = [];
          let tag = 0;
          for (const step of steps) {
            if (step.drop && live.length > 0) {
              const [object] = live.splice(step.at % live.length, 1);
              if (object !== undefined) zsFree(m, object.handle);
              continue;
            }
            const size = step.size > 3584 ? 4096 : step.size;
            const handle = zsMalloc(m, size);
            if (handle === 0) continue;
            tag = (tag % 255) + 1;
            zsWrite(m, handle, new Uint8Array(size).fill(tag));
            live.push({ handle, size, tag });
          }
          for (const { handle, size, tag: expected } of live) {
            expect(zsView(m, handle, size).every((byte) => byte === expected)).toBe(true);
          }
          expect(zsUsage(m).objects).toBe(live.length);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('may be larger than one buffer', () => {
    const pages = ZS_BUFFER_BLOCKS * ZS_PAGES_PER_BLOCK + 64;
    const m = bootFixture({ swapPages: pages });
    expect(m.store8.length).toBe(2);
    const page = (tag: number): Uint8Array => new Uint8Array(PAGE_SIZE).fill(tag);
    // As if all blocks but the last of the first buffer were in use.
    m.zsPool[POOL_FRESH] = ZS_BUFFER_BLOCKS - 2;
    const ends = Array.from({ length: 2 * ZS_PAGES_PER_BLOCK }, () => zsMalloc(m, PAGE_SIZE));
    for (const [tag, handle] of ends.entries()) zsWrite(m, handle, page(tag + 1));
    const found = ends.map((handle) => zsView(m, handle, PAGE_SIZE));
    for (const [tag, bytes] of found.entries()) expect(bytes).toEqual(page(tag + 1));
    expect(found.map(({ buffer }) => m.store8.findIndex((b) => b.buffer === buffer))).toEqual([
      0, 0, 0, 0, 1, 1, 1, 1,
    ]);
    for (const handle of ends) zsFree(m, handle);
    expect(zsUsage(m).objects).toBe(0);
  });
});
