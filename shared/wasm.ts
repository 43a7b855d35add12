// SPDX-License-Identifier: MIT
/**
 * The part of the WebAssembly API that the project uses, typed here so that neither we nor our
 * users need the DOM library for it.
 */

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
