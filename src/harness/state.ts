// SPDX-License-Identifier: MIT
/**
 * The state that a scenario's `setup` returns, as the harness handles it: `setup` runs once, and
 * before every execution the bytes of all its buffers are put back, which is thousands of times as
 * fast as to run it again and to send what it made to the threads.
 *
 * So what threads share is memory: SharedArrayBuffer, views of one, or a shared WebAssembly.Memory,
 * anywhere inside objects, arrays, maps and sets. Everything else in the state is a copy of each
 * thread's own, and frozen; bytes that are not shared are put back as well.
 */

import { Wasm } from '../../shared/wasm.ts';

/** The buffers of a state, each once, in the order in which a walk meets them. */
export interface StateBuffers {
  readonly shared: readonly SharedArrayBuffer[];
  readonly own: readonly ArrayBuffer[];
}

/** Finds the buffers of a state and freezes what is not memory. */
export function collectBuffers(state: unknown): StateBuffers {
  const shared = new Set<SharedArrayBuffer>();
  const own = new Set<ArrayBuffer>();
  const seen = new Set<object>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof SharedArrayBuffer) shared.add(value);
    else if (value instanceof ArrayBuffer) own.add(value);
    else if (ArrayBuffer.isView(value)) walk(value.buffer);
    else if (value instanceof Wasm.Memory) walk(value.buffer);
    else if (value instanceof Map) for (const pair of value) pair.forEach(walk);
    else if (value instanceof Set) value.forEach(walk);
    else {
      for (const key of Object.keys(value)) walk((value as Record<string, unknown>)[key]);
      Object.freeze(value);
    }
  };
  walk(state);
  return { shared: [...shared], own: [...own] };
}

/** The bytes of buffers at one moment. */
export class Snapshot {
  readonly #views: readonly Uint8Array[];
  readonly #copies: readonly Uint8Array[];

  constructor(buffers: readonly ArrayBufferLike[]) {
    this.#views = buffers.map((buffer) => new Uint8Array(buffer));
    this.#copies = this.#views.map((view) => view.slice());
  }

  /** Puts the bytes back. @context nobody else uses the buffers */
  restore(): void {
    for (let i = 0; i < this.#views.length; i++) {
      (this.#views[i] as Uint8Array).set(this.#copies[i] as Uint8Array);
    }
  }
}
