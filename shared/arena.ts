// SPDX-License-Identifier: MIT
/**
 * The arena: one fixed shared WebAssembly memory that holds every table of a machine.
 *
 * A table is a struct of arrays: one typed-array column per field, all of one length. A pure
 * `declare` function names the tables; it is run once to measure, and again by every thread to bind
 * the same columns at the same offsets. The header carries a hash of the layout, so a thread that
 * declares other tables than the creator's cannot attach.
 *
 * Header: word 0 magic, 1 ABI version, 2 layout hash, 3 size in KiB.
 */
import { assert } from './assert.ts';
import type { SpareMemory } from './spare_memory.ts';
import type { F64, I32, U8, U16, U32 } from './types.ts';
import { LINE_BYTES } from './types.ts';
import { newSharedMemory, type SharedMemory } from './wasm.ts';

const ARENA_MAGIC = 0x6b72636c; // 'krcl'
const ABI_VERSION = 1;
const WASM_PAGE_BYTES = 65536;
const WASM_PAGES_MAX = 65536;

/** Column types by name. 64-bit columns are not atomic: one owner, or under a lock. */
interface ColumnTypes {
  i32: I32;
  u32: U32;
  u16: U16;
  u8: U8;
  f64: F64;
}
export type ColumnType = keyof ColumnTypes;
export type Schema = Readonly<Record<string, ColumnType>>;
export type Columns<S extends Schema> = { readonly [K in keyof S]: ColumnTypes[S[K]] };

const ELEMENT_BYTES: Record<ColumnType, number> = { i32: 4, u32: 4, u16: 2, u8: 1, f64: 8 };

/**
 * Names the tables of an arena. Must be pure: every thread calls it with the same configuration.
 */
export type Declare<T> = (builder: ArenaBuilder) => T;

/** Places tables one after another: measures them, or binds their columns to a memory. */
export class ArenaBuilder {
  readonly #buffer: SharedArrayBuffer | null;
  #offset = LINE_BYTES;
  #hash = 0x811c9dc5;

  /** @param buffer the memory to bind to, or null to measure only */
  constructor(buffer: SharedArrayBuffer | null) {
    this.#buffer = buffer;
  }

  /**
   * Places one table.
   * @param name unique within the arena; part of the layout hash
   * @param schema column name to type; the order is the ABI
   * @param rows entries per column, at least 0
   * @returns the columns (empty ones while measuring), each starting on its own 128-byte line
   */
  columns<S extends Schema>(name: string, schema: S, rows: number): Columns<S> {
    assert(Number.isSafeInteger(rows) && rows >= 0, 'table rows must be a non-negative integer');
    const columns: [string, unknown][] = [];
    for (const [column, type] of Object.entries(schema)) {
      this.#mix(`${name}.${column}:${type}[${rows}]`);
      columns.push([column, this.#view(type, rows)]);
      this.#offset += Math.ceil((rows * ELEMENT_BYTES[type]) / LINE_BYTES) * LINE_BYTES;
    }
    // Added one by one, V8 would make a hash table of more than some twenty: each access a call.
    return Object.fromEntries(columns) as Columns<S>;
  }

  get sizeBytes(): number {
    return this.#offset;
  }

  get layoutHash(): number {
    return this.#hash | 0;
  }

  #view(type: ColumnType, rows: number): unknown {
    const buffer = this.#buffer ?? new SharedArrayBuffer(0);
    const offset = this.#buffer === null ? 0 : this.#offset;
    const length = this.#buffer === null ? 0 : rows;
    switch (type) {
      case 'i32':
        return new Int32Array(buffer, offset, length);
      case 'u32':
        return new Uint32Array(buffer, offset, length);
      case 'u16':
        return new Uint16Array(buffer, offset, length);
      case 'u8':
        return new Uint8Array(buffer, offset, length);
      case 'f64':
        return new Float64Array(buffer, offset, length);
    }
  }

  #mix(text: string): void {
    for (let i = 0; i < text.length; i++) {
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
    }
  }
}

/** An arena as one thread sees it: the memory (to hand to other threads) and the bound tables. */
export interface Arena<T> {
  readonly memory: SharedMemory;
  readonly tables: T;
  readonly sizeBytes: number;
}

/** The size an arena would have, in bytes, without making it. */
export function measureArena<T>(declare: Declare<T>): number {
  const builder = new ArenaBuilder(null);
  declare(builder);
  return builder.sizeBytes;
}

/**
 * Makes a zeroed arena.
 * @param spare memory to take where it has the size
 * @throws RangeError when the tables exceed the 4 GiB of a 32-bit WebAssembly memory
 * @context the thread that boots; no other thread knows the memory yet
 */
export function createArena<T>(declare: Declare<T>, spare?: SpareMemory): Arena<T> {
  const pages = Math.ceil(measureArena(declare) / WASM_PAGE_BYTES);
  if (pages > WASM_PAGES_MAX) {
    throw new RangeError(
      `the arena needs ${pages} x 64 KiB of metadata, above the limit of ${WASM_PAGES_MAX}`,
    );
  }
  const memory = newSharedMemory(pages * WASM_PAGE_BYTES, spare);
  const arena = bind(memory, declare);
  const header = new Int32Array(memory.buffer, 0, 4);
  header[1] = ABI_VERSION;
  header[2] = arena.hash;
  header[3] = pages * 64;
  Atomics.store(header, 0, ARENA_MAGIC);
  return arena;
}

/**
 * Binds to an arena that another thread made.
 * @throws BugError when the memory is not an arena, or holds other tables than `declare` names
 */
export function attachArena<T>(memory: SharedMemory, declare: Declare<T>): Arena<T> {
  const header = new Int32Array(memory.buffer, 0, 4);
  assert(Atomics.load(header, 0) === ARENA_MAGIC, 'not an arena: wrong magic');
  assert(header[1] === ABI_VERSION, 'arena of another ABI version');
  const arena = bind(memory, declare);
  assert(header[2] === arena.hash, 'arena layout differs: configuration or build mismatch');
  return arena;
}

function bind<T>(memory: SharedMemory, declare: Declare<T>): Arena<T> & { hash: number } {
  const builder = new ArenaBuilder(memory.buffer);
  const tables = declare(builder);
  return { memory, tables, sizeBytes: builder.sizeBytes, hash: builder.layoutHash };
}
