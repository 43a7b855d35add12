// SPDX-License-Identifier: MIT
/**
 * Views over shared memory and the brand helper.
 *
 * Every typed array of the substrate is a view over a SharedArrayBuffer; these aliases say so in
 * the type, so that a private array cannot be passed where a shared one is meant.
 */

export type I32 = Int32Array<SharedArrayBuffer>;
export type U32 = Uint32Array<SharedArrayBuffer>;
export type U16 = Uint16Array<SharedArrayBuffer>;
export type U8 = Uint8Array<SharedArrayBuffer>;
export type F64 = Float64Array<SharedArrayBuffer>;

/** A number that may not be mixed with other numbers: `type Pfn = Brand<'pfn'>`. */
export type Brand<Name extends string> = number & { readonly __brand: Name };

/**
 * Bytes between two words that different threads write: two 64-byte lines, as prefetchers pair
 * them.
 */
export const LINE_BYTES = 128;
/** The same distance in 32-bit words. */
export const LINE_WORDS = LINE_BYTES / 4;
