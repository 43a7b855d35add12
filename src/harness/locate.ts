// SPDX-License-Identifier: MIT
/**
 * Where a word is. The same memory is another object in every thread, so the schedule speaks of
 * addresses: each shared buffer that the threads were given has a base, and a word's address is
 * base + byte offset. Bases are given in the order in which the buffers are registered, which is
 * the same in all threads. A buffer that a thread makes itself is seen by nobody else; its base is
 * in a range of the thread's own, by the order in which an execution first uses such buffers.
 */

/** Bases are multiples of this, so that no access reaches into the next buffer. */
const ALIGN = 64;
/** Addresses of buffers that one thread alone knows start here, in a range for each thread. */
const PRIVATE_BASE = 0x6000_0000;
const PRIVATE_SPAN = 0x40_0000;

let bases = new WeakMap<SharedArrayBuffer, number>();
let nextBase = 0;
let firstPrivate = PRIVATE_BASE;
let nextPrivate = PRIVATE_BASE;
let lastBuffer: ArrayBufferLike | null = null;
let lastBase = 0;
/** Registered buffers, in the order of their bases. */
let registered: { readonly base: number; readonly buffer: SharedArrayBuffer }[] = [];

/** @returns the base of each of a list of registered buffers, by their lengths in bytes */
export function basesOf(lengths: readonly number[]): number[] {
  let next = ALIGN;
  return lengths.map((length) => {
    const base = next;
    next += Math.ceil((length + 1) / ALIGN) * ALIGN;
    return base;
  });
}

/** Gives buffers their bases. @param buffers in the same order in every thread */
export function registerBuffers(buffers: readonly SharedArrayBuffer[]): void {
  bases = new WeakMap();
  registered = [];
  nextBase = ALIGN;
  firstPrivate = PRIVATE_BASE;
  nextPrivate = PRIVATE_BASE;
  lastBuffer = null;
  for (const buffer of buffers) {
    bases.set(buffer, nextBase);
    registered.push({ base: nextBase, buffer });
    nextBase += Math.ceil((buffer.byteLength + 1) / ALIGN) * ALIGN;
  }
  if (nextBase >= PRIVATE_BASE) throw new RangeError('more than 1.5 GiB of shared memory');
}

/**
 * An execution begins: buffers of the thread's own are numbered afresh, so that the same schedule
 * has the same addresses.
 * @param thread 0 .. 127
 */
export function forgetPrivate(thread: number): void {
  const used = nextPrivate !== firstPrivate;
  firstPrivate = PRIVATE_BASE + thread * PRIVATE_SPAN;
  nextPrivate = firstPrivate;
  if (!used) return;
  bases = new WeakMap();
  for (const { base, buffer } of registered) bases.set(buffer, base);
  lastBuffer = null;
}

/** Bytes of addresses that the registered buffers span. */
export function addressSpan(): number {
  return nextBase;
}

/** @returns the base of a shared buffer, -1 for memory that is not shared */
export function baseOf(buffer: ArrayBufferLike): number {
  if (buffer === lastBuffer) return lastBase;
  let base = bases.get(buffer as SharedArrayBuffer);
  if (base === undefined) {
    if (!(buffer instanceof SharedArrayBuffer)) return -1;
    const size = Math.ceil((buffer.byteLength + 1) / ALIGN) * ALIGN;
    if (nextPrivate + size > firstPrivate + PRIVATE_SPAN) nextPrivate = firstPrivate;
    base = nextPrivate;
    nextPrivate += size;
    bases.set(buffer, base);
  }
  lastBuffer = buffer;
  lastBase = base;
  return base;
}

/** Buffer and offset of an address, for reports. @returns null for one that is not registered */
export function describeAddress(address: number): { buffer: number; offset: number } | null {
  for (let i = registered.length - 1; i >= 0; i--) {
    const { base, buffer } = registered[i] as (typeof registered)[number];
    if (address >= base && address <= base + buffer.byteLength) {
      return { buffer: i, offset: address - base };
    }
  }
  return null;
}
