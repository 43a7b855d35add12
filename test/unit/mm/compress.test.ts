// SPDX-License-Identifier: GPL-2.0-only
/** The page codec against another one, on pages of many kinds, and on noise. */
import fc from 'fast-check';
import { compressSync, uncompressSync } from 'lz4-napi';
import { describe, expect, it } from 'vitest';
import { compressPage, decompressPage } from '../../../dist/src/mm/compress.js';

const PAGE = 4096;
/** lz4-napi puts the length before the block. */
const PREFIX = 4;

/** What a part of a page is made of. */
type Part =
  | { readonly noise: Uint8Array }
  | { readonly run: number; readonly byte: number }
  | { readonly back: number; readonly length: number };

/** A page out of parts, over and over. */
function pageOf(parts: readonly Part[]): Uint8Array {
  const page = new Uint8Array(PAGE);
  let at = 0;
  const put = (byte: number): void => {
    if (at < PAGE) page[at++] = byte;
  };
  for (let i = 0; at < PAGE; i++) {
    const part = parts[i % parts.length] as Part;
    if ('noise' in part) part.noise.forEach(put);
    else if ('run' in part) for (let n = 0; n < part.run; n++) put(part.byte);
    else for (let n = 0; n < part.length; n++) put(page[Math.max(at - part.back, 0)] as number);
  }
  return page;
}

const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ noise: fc.uint8Array({ minLength: 1, maxLength: 600 }) }),
  fc.record({ run: fc.integer({ min: 1, max: 4096 }), byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ back: fc.integer({ min: 1, max: 4000 }), length: fc.integer({ min: 1, max: 600 }) }),
);
const pages = fc.array(part, { minLength: 1, maxLength: 20 }).map(pageOf);

function unpacked(packed: Uint8Array): Uint8Array {
  const page = new Uint8Array(PAGE);
  decompressPage(packed, page);
  return page;
}

function withPrefix(packed: Uint8Array): Buffer {
  const block = Buffer.alloc(PREFIX + packed.length);
  block.writeUInt32LE(PAGE);
  block.set(packed, PREFIX);
  return block;
}

describe('compressPage', () => {
  it('gives what both codecs make the page of again', () => {
    fc.assert(
      fc.property(pages, (page) => {
        const packed = Uint8Array.from(compressPage(page));
        if (packed.length === PAGE) {
          expect(Buffer.compare(packed, page)).toBe(0);
          return;
        }
        expect(packed.length).toBeLessThan(PAGE);
        expect(Buffer.compare(unpacked(packed), page)).toBe(0);
        expect(Buffer.compare(uncompressSync(withPrefix(packed)), page)).toBe(0);
      }),
      { numRuns: 400 },
    );
  });

  it('is about as good as the other', () => {
    const sizes = { ours: 0, theirs: 0 };
    for (const page of fc.sample(pages, { numRuns: 300, seed: 7 })) {
      sizes.ours += compressPage(page).length;
      sizes.theirs += Math.min(compressSync(Buffer.from(page)).length - PREFIX, PAGE);
    }
    expect(sizes.ours).toBeLessThan(sizes.theirs * 1.03);
  });

  it('leaves a page of noise as it is', () => {
    const noise = fc.sample(fc.uint8Array({ minLength: PAGE, maxLength: PAGE }), {
      numRuns: 1,
      seed: 3,
    })[0] as Uint8Array;
    const mixed = noise.map((byte, i) => byte ^ Math.imul(i, 0x9e3779b1) ^ (i >> 3));
    expect(Buffer.compare(Uint8Array.from(compressPage(mixed)), mixed)).toBe(0);
  });
});

describe('decompressPage', () => {
  it('takes what the other has packed', () => {
    fc.assert(
      fc.property(pages, (page) => {
        const packed = compressSync(Buffer.from(page)).subarray(PREFIX);
        fc.pre(packed.length < PAGE);
        expect(Buffer.compare(unpacked(packed), page)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses bytes that are no page, and a page that was cut or altered in length', () => {
    const noise = fc.uint8Array({ minLength: 1, maxLength: PAGE - 1 });
    fc.assert(
      fc.property(noise, (bytes) => {
        expect(() => unpacked(bytes)).toThrow('decompressed bytes are not one page');
      }),
      { numRuns: 400 },
    );
    const packed = Uint8Array.from(compressPage(new Uint8Array(PAGE).fill(1, 0, 2000)));
    expect(() => unpacked(packed.subarray(0, -1))).toThrow('not one page');
    expect(() => unpacked(Uint8Array.of(...packed, 0))).toThrow('not one page');
  });
});
