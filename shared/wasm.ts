// SPDX-License-Identifier: MIT
/**
 * The part of the WebAssembly API that the project uses, typed here so that neither we nor our
 * users need the DOM library for it, and the loader of kernels.
 *
 * A kernel is a small module of functions over the arena's memory, compiled with the build and
 * loaded synchronously by the thread that calls it. Its memory is imported, as `env.memory`.
 */
import { readFileSync } from 'node:fs';
import type { SpareMemory } from './spare_memory.ts';

/** A shared, fixed-size WebAssembly memory. Can be handed to another thread by structured clone. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

export interface WasmModule {
  readonly __wasmModule?: never;
}

interface WasmNamespace {
  readonly Memory: new (options: {
    initial: number;
    maximum: number;
    shared: true;
  }) => SharedMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (
    module: WasmModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Record<string, unknown> };
}

export const Wasm = (globalThis as unknown as { WebAssembly: WasmNamespace }).WebAssembly;

/** Kernels that this thread has compiled, by URL. */
const modules = new Map<string, WasmModule>();

/**
 * Loads a kernel over an arena.
 * @param url its .wasm file
 * @returns its exports; throws the file system's or the engine's error when it cannot be loaded
 * @context any thread, at start: reads a file and compiles it
 */
export function loadKernel(url: URL, memory: SharedMemory): Readonly<Record<string, unknown>> {
  let module = modules.get(url.href);
  if (module === undefined) {
    module = new Wasm.Module(readFileSync(url));
    modules.set(url.href, module);
  }
  return new Wasm.Instance(module, { env: { memory } }).exports;
}

/**
 * Makes a zeroed shared memory.
 * @param sizeBytes up to 4 GiB; rounded up to 64 KiB
 * @param spare memory to take where it has the size
 * @throws RangeError when it is larger, or the host has no memory for it
 */
export function newSharedMemory(sizeBytes: number, spare?: SpareMemory): SharedMemory {
  const pages = Math.ceil(sizeBytes / 65536);
  const taken = spare?.takeMemory(pages * 65536);
  return taken ?? new Wasm.Memory({ initial: pages, maximum: pages, shared: true });
}
