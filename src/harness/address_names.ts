// SPDX-License-Identifier: MIT
/**
 * Names for addresses, as the scenario's author knows them: `state.words[3]` for a word of the
 * typed array `words` of the state, `state.memory+64` for a byte of a buffer that no view of the
 * state covers.
 */
import { Wasm } from '../../shared/wasm.ts';
import { basesOf } from './locate.ts';
import { collectBuffers } from './state.ts';

/** A view of a shared buffer, or the buffer itself. */
interface Place {
  readonly path: string;
  readonly start: number;
  readonly bytes: number;
  /** Bytes of an element, 0 for a buffer. */
  readonly width: number;
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

function member(path: string, key: string): string {
  if (IDENTIFIER.test(key)) return `${path}.${key}`;
  return /^\d+$/.test(key) ? `${path}[${key}]` : `${path}[${JSON.stringify(key)}]`;
}

/** Knows the places of one state. */
export class AddressNames {
  readonly #places: Place[] = [];
  readonly #bases = new Map<SharedArrayBuffer, number>();
  /** The same, in the order of the buffers. */
  readonly #starts: readonly number[];

  /** @param state what `setup` returned */
  constructor(state: unknown) {
    const { shared } = collectBuffers(state);
    this.#starts = basesOf(shared.map((buffer) => buffer.byteLength));
    this.#starts.forEach((base, i) => {
      this.#bases.set(shared[i] as SharedArrayBuffer, base);
    });
    this.#walk(state, 'state', new Set());
  }

  /** @param bytes width of the access @returns a name for the address */
  name(address: number, bytes: number): string {
    let best: Place | null = null;
    for (const place of this.#places) {
      if (address < place.start || address >= place.start + place.bytes) continue;
      if (best === null || rank(place, bytes) < rank(best, bytes)) best = place;
    }
    if (best === null) return address < 0 ? 'nothing' : 'memory outside the state';
    const offset = address - best.start;
    if (best.width === 0 || offset % best.width !== 0) return `${best.path}+${offset}`;
    return `${best.path}[${offset / best.width}]`;
  }

  /** @param buffer its number @returns a name for a place in it */
  nameIn(buffer: number, offset: number, bytes: number): string {
    return this.name((this.#starts[buffer] ?? -1) + offset, bytes);
  }

  #walk(value: unknown, path: string, seen: Set<object>): void {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof SharedArrayBuffer) this.#add(value, path, 0, value.byteLength, 0);
    else if (value instanceof Wasm.Memory) this.#walk(value.buffer, path, seen);
    else if (ArrayBuffer.isView(value)) {
      const { buffer, byteOffset, byteLength } = value;
      const width = (value as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 0;
      if (buffer instanceof SharedArrayBuffer) {
        this.#add(buffer, path, byteOffset, byteLength, width);
      }
    } else if (value instanceof Map) {
      for (const [key, item] of value) this.#walk(item, `${path}.get(${String(key)})`, seen);
    } else {
      for (const [key, item] of Object.entries(value)) this.#walk(item, member(path, key), seen);
    }
  }

  #add(buffer: SharedArrayBuffer, path: string, from: number, bytes: number, width: number): void {
    const base = this.#bases.get(buffer);
    if (base !== undefined) this.#places.push({ path, start: base + from, bytes, width });
  }
}

/** The smaller the better a place names an access of so many bytes. */
function rank(place: Place, bytes: number): number {
  const fit = place.width === bytes ? 0 : place.width > 0 ? 1 : 2;
  return fit * 2 ** 40 + place.bytes;
}
