// SPDX-License-Identifier: MIT
/**
 * A ring buffer of 32-bit integers on a SharedArrayBuffer of yours: one producing thread, one
 * consuming thread. The public face of KfifoSpsc (kfifo.ts has the state table and the guarantees).
 *
 * Nothing needs setting up but zeroed memory: each side constructs a SharedArrayBufferRingBuffer
 * over the same bytes with the same capacity. The first writes a header; the second checks it.
 *
 *   const bytes = SharedArrayBufferRingBuffer.sizeBytes(1024);
 *   const sab = new SharedArrayBuffer(bytes);      // main thread; sent to both workers
 *   const ring = new SharedArrayBufferRingBuffer(sab, 0, 1024); // in each of them
 *   ring.push(42);            // producer: false when full
 *   ring.pop();               // consumer: undefined when empty
 *   ring.popWait(100);        // consumer: sleeps at most 100 ms
 *
 * Words of the header: magic, capacity. Guarantees, progress: as KfifoSpsc. The waiting calls block
 * the thread, so a browser's main thread must not use them.
 */
import { KFIFO_CAPACITY_MAX, KfifoSpsc } from './kfifo.ts';
import { LINE_BYTES, LINE_WORDS } from './types.ts';

const MAGIC = 0x52494e47; // 'RING'
const HEADER_WORDS = LINE_WORDS;

/** One side's handle on a ring of numbers. @context one producer thread, one consumer thread */
export class SharedArrayBufferRingBuffer {
  readonly #ring: KfifoSpsc;
  readonly #buffer: SharedArrayBuffer;
  readonly #byteOffset: number;

  /**
   * Bytes that a ring takes.
   * @param capacity elements: a power of two, 2 .. 2^24
   * @throws RangeError for another capacity
   */
  static sizeBytes(capacity: number): number {
    checkCapacity(capacity);
    return (HEADER_WORDS + KfifoSpsc.words(capacity)) * 4;
  }

  /**
   * Attaches to the ring at `byteOffset`, or makes it where the bytes are zero.
   * @param buffer holds sizeBytes(capacity) bytes from byteOffset on
   * @param byteOffset a multiple of 4; of 128 to keep the two sides' words on lines of their own
   * @throws RangeError when the ring does not fit, or the bytes hold a ring of another capacity
   */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacity: number) {
    const bytes = SharedArrayBufferRingBuffer.sizeBytes(capacity);
    if (!Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset % 4 !== 0) {
      throw new RangeError(`ring byteOffset ${byteOffset} is not a non-negative multiple of 4`);
    }
    if (byteOffset + bytes > buffer.byteLength) {
      throw new RangeError(`a ring of ${capacity} needs ${bytes} bytes from ${byteOffset} on`);
    }
    const words = new Int32Array(buffer, byteOffset, bytes / 4);
    const known = Atomics.compareExchange(words, 1, 0, capacity);
    const magic = Atomics.compareExchange(words, 0, 0, MAGIC);
    if ((known !== 0 && known !== capacity) || (magic !== 0 && magic !== MAGIC)) {
      throw new RangeError(`the bytes at ${byteOffset} hold no ring of capacity ${capacity}`);
    }
    this.#ring = new KfifoSpsc(words, HEADER_WORDS, capacity);
    this.#buffer = buffer;
    this.#byteOffset = byteOffset;
  }

  get capacity(): number {
    return this.#ring.capacity;
  }

  get buffer(): SharedArrayBuffer {
    return this.#buffer;
  }

  get byteOffset(): number {
    return this.#byteOffset;
  }

  /** Elements in the ring; the other side may change it at once. */
  get length(): number {
    return this.#ring.length();
  }

  /** Adds an element (converted to int32). @returns false when full @context producer */
  push(value: number): boolean {
    return this.#ring.push(value);
  }

  /** Takes an element. @returns undefined when empty @context consumer */
  pop(): number | undefined {
    return this.#ring.pop();
  }

  /**
   * Adds as many of `from[offset .. offset+count-1]` as fit.
   * @returns how many
   * @context producer
   */
  pushBatch(from: Int32Array, offset = 0, count = from.length - offset): number {
    checkRange(from, offset, count);
    return this.#ring.pushBatch(from, offset, count);
  }

  /** Adds all of a record, or nothing. @returns false when it does not fit now @context producer */
  pushAll(from: Int32Array, offset = 0, count = from.length - offset): boolean {
    checkRange(from, offset, count);
    return this.#ring.pushAll(from, offset, count);
  }

  /** Takes up to `count` elements into `into`. @returns how many @context consumer */
  popBatch(into: Int32Array, offset = 0, count = into.length - offset): number {
    checkRange(into, offset, count);
    return this.#ring.popBatch(into, offset, count);
  }

  /**
   * Adds an element, sleeping while full.
   * @returns false when the time ran out
   * @context producer
   */
  pushWait(value: number, timeoutMs = Infinity): boolean {
    return this.#ring.pushWait(value, timeoutMs);
  }

  /**
   * Takes an element, sleeping while empty.
   * @returns undefined when the time ran out
   * @context consumer
   */
  popWait(timeoutMs = Infinity): number | undefined {
    return this.#ring.popWait(timeoutMs);
  }

  /** Sleeps until an element is there. @returns false when the time ran out @context consumer */
  waitReadable(timeoutMs = Infinity): boolean {
    return this.#ring.waitReadable(timeoutMs);
  }

  /** Sleeps until there is room. @returns false when the time ran out @context producer */
  waitWritable(timeoutMs = Infinity): boolean {
    return this.#ring.waitWritable(timeoutMs);
  }
}

function checkCapacity(capacity: number): void {
  const power = capacity >= 2 && capacity <= KFIFO_CAPACITY_MAX && Number.isInteger(capacity);
  if (!power || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`ring capacity ${capacity} is not a power of two in 2 .. 2^24`);
  }
}

function checkRange(array: Int32Array, offset: number, count: number): void {
  if (offset < 0 || count < 0 || offset + count > array.length) {
    throw new RangeError(`elements ${offset} .. ${offset + count} lie outside the array`);
  }
}

/** Bytes that keep neighbouring rings in one buffer apart: round byteOffset up to a multiple. */
export const RING_ALIGN_BYTES = LINE_BYTES;
