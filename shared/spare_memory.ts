// SPDX-License-Identifier: MIT
/**
 * Shared memory of what is gone, for what comes next. Who makes many machines one after the other
 * does not wait for the collector, which gives shared memory back late: it sees a small object, and
 * each thread's has to go.
 */
import type { SharedMemory } from './wasm.ts';

/** Blocks of one kind, by their bytes. */
class Spares<T> {
  readonly #blocks = new Map<number, T[]>();

  give(bytes: number, block: T): void {
    const blocks = this.#blocks.get(bytes);
    if (blocks === undefined) this.#blocks.set(bytes, [block]);
    else blocks.push(block);
  }

  take(bytes: number): T | undefined {
    return this.#blocks.get(bytes)?.pop();
  }
}

/** What one thread keeps. */
export class SpareMemory {
  readonly #memories = new Spares<SharedMemory>();
  readonly #buffers = new Spares<SharedArrayBuffer>();
  #bytes = 0;

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param memory nobody uses it any more */
  giveMemory(memory: SharedMemory): void {
    this.#bytes += memory.buffer.byteLength;
    this.#memories.give(memory.buffer.byteLength, memory);
  }

  /** @param buffer nobody uses it any more */
  giveBuffer(buffer: SharedArrayBuffer): void {
    this.#bytes += buffer.byteLength;
    this.#buffers.give(buffer.byteLength, buffer);
  }

  /** @returns zeroed memory of exactly that size, undefined where none is kept */
  takeMemory(bytes: number): SharedMemory | undefined {
    const memory = this.#memories.take(bytes);
    if (memory !== undefined) this.#zero(memory.buffer);
    return memory;
  }

  /** @returns a zeroed buffer of exactly that size, undefined where none is kept */
  takeBuffer(bytes: number): SharedArrayBuffer | undefined {
    const buffer = this.#buffers.take(bytes);
    if (buffer !== undefined) this.#zero(buffer);
    return buffer;
  }

  #zero(buffer: SharedArrayBuffer): void {
    this.#bytes -= buffer.byteLength;
    new Uint8Array(buffer).fill(0);
  }
}
