// SPDX-License-Identifier: GPL-2.0-only
/**
 * Compression of a page: LZ4 through `lz4-napi`, or deflate level 1 of node:zlib where that package
 * has no binary for the platform. One native call is one step: no scheduling point inside.
 */
import { createRequire } from 'node:module';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { assert } from '../../shared/assert.ts';
import { PAGE_SIZE } from './limits.ts';

interface Codec {
  compress(page: Uint8Array): Uint8Array;
  decompress(packed: Uint8Array): Uint8Array;
}

interface Lz4 {
  compressSync(data: Uint8Array): Uint8Array;
  uncompressSync(data: Uint8Array): Uint8Array;
}

function loadCodec(): Codec {
  try {
    const lz4 = createRequire(import.meta.url)('lz4-napi') as Lz4;
    return { compress: lz4.compressSync, decompress: lz4.uncompressSync };
  } catch {
    return {
      compress: (page) => deflateRawSync(page, { level: 1 }),
      decompress: (packed) => inflateRawSync(packed),
    };
  }
}

const codec = loadCodec();

/** @returns the packed bytes, private to the caller; they may be longer than the page */
export function compressPage(page: Uint8Array): Uint8Array {
  return codec.compress(page);
}

/**
 * Unpacks into `page`, which must be PAGE_SIZE bytes. @throws BugError when the result is not a
 * page
 */
export function decompressPage(packed: Uint8Array, page: Uint8Array): void {
  const bytes = codec.decompress(packed);
  assert(bytes.length === PAGE_SIZE, 'decompressed bytes are not one page');
  page.set(bytes);
}
