// SPDX-License-Identifier: GPL-2.0-only
/**
 * Compression of a page: LZ4 blocks, by a WebAssembly kernel that has a memory of its own in each
 * thread. A call is one step: no scheduling point inside.
 *
 * Not a native library: what such a one returns is freed by finalizers, which run when a thread's
 * event loop turns. Ours never do, so each page would leak (ADR 14).
 */
import { assert } from '../../shared/assert.ts';
import { loadKernel, newSharedMemory } from '../../shared/wasm.ts';
import { PAGE_SIZE } from './limits.ts';

interface KernelExports {
  pack(limit: number): number;
  unpack(length: number): number;
}

interface Codec {
  readonly kernel: KernelExports;
  /** The page, as the kernel sees it. */
  readonly page: Uint8Array;
  /** A packed page, PACKED_BYTES at most. */
  readonly packed: Uint8Array;
}

/** Bytes of the kernel's memory: a page, a packed page, a table. */
const MEMORY_BYTES = 1 << 16;

function makeCodec(): Codec {
  const memory = newSharedMemory(MEMORY_BYTES);
  const exports = loadKernel(new URL('./wasm/lz4.wasm', import.meta.url), memory);
  const constant = (name: string): number => (exports[name] as { value: number }).value;
  assert(constant('PAGE_BYTES') === PAGE_SIZE, 'the codec knows pages');
  return {
    kernel: exports as unknown as KernelExports,
    page: new Uint8Array(memory.buffer, constant('PAGE'), PAGE_SIZE),
    packed: new Uint8Array(memory.buffer, constant('PACKED'), constant('PACKED_BYTES')),
  };
}

/** This thread's codec, made at first use. */
let codec: Codec | null = null;

/**
 * Packs a page. It is copied first: whoever changes it meanwhile gets one of its states.
 * @param page PAGE_SIZE bytes
 * @param times how often it is done, as if by a codec that takes so much longer
 * @returns the packed bytes; the page itself where packing does not make it smaller. Valid until
 *   this thread's next call
 */
export function compressPage(page: Uint8Array, times = 1): Uint8Array {
  codec ??= makeCodec();
  codec.page.set(page);
  let length = codec.kernel.pack(PAGE_SIZE - 1);
  for (let i = 1; i < times; i++) length = codec.kernel.pack(PAGE_SIZE - 1);
  return length === 0 ? codec.page : codec.packed.subarray(0, length);
}

/**
 * Unpacks into `page`, which must be PAGE_SIZE bytes.
 * @throws BugError when the result is not a page
 */
export function decompressPage(packed: Uint8Array, page: Uint8Array): void {
  codec ??= makeCodec();
  assert(packed.length < PAGE_SIZE, 'a packed page is smaller than a page');
  codec.packed.set(packed);
  assert(codec.kernel.unpack(packed.length) !== 0, 'decompressed bytes are not one page');
  page.set(codec.page);
}
