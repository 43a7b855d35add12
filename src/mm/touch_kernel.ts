// SPDX-License-Identifier: GPL-2.0-only
/**
 * The loads and stores of a window in WebAssembly: the other half of a run with contents.
 *
 * Page frames lie in a memory of their own, and a kernel sees one memory: so behind the frames,
 * each CPU has a scratch area for what the kernel needs beside them.
 *
 *   frame memory:  frames | CPU 0: window, last stores | CPU 1: ...
 *
 * There is one only where all frames lie in one buffer. The last stores of a program (a word per
 * page slot) are taken from the area for good when its context is made; a context that finds no
 * room keeps them elsewhere and runs the twin.
 */
import { assert } from '../../shared/assert.ts';
import { type I32, LINE_BYTES } from '../../shared/types.ts';
import { loadKernel } from '../../shared/wasm.ts';
import { type AccessWindow, KIND_WRITE } from './access_kernel.ts';
import { ACCESS_WINDOW_WORDS, PAGE_SIZE, PTRS_PER_TABLE } from './limits.ts';
import { type Mm, touchScratchBytes } from './mm.ts';

interface KernelExports {
  touch(
    first: number,
    end: number,
    pfns: number,
    lastSeq: number,
    own: number,
    tag: number,
    seq: number,
  ): number;
}

/** The WebAssembly kernel, bound to one CPU. Private to its thread. */
export class TouchKernel {
  readonly #exports: KernelExports;
  readonly #events: I32; // @owner cpu
  readonly #pfns: I32; // @owner cpu
  readonly #seq: I32; // @owner cpu  word 0: number of the last store
  readonly #lastSeqs: I32; // @owner cpu
  #claimed = 0;

  /** @param scratch where this CPU's area begins @context the CPU's own thread */
  constructor(m: Mm, scratch: number) {
    const memory = m.buffers.frames[0];
    assert(memory !== undefined, 'contents are on');
    const exports = loadKernel(new URL('./wasm/touch.wasm', import.meta.url), memory);
    const constant = (name: string): unknown => (exports[name] as { value: unknown }).value;
    assert(constant('KIND_WRITE') === KIND_WRITE, 'the touch kernel knows the event kinds');
    assert(2 ** (constant('PAGE_SHIFT') as number) === PAGE_SIZE, 'the touch kernel knows pages');
    this.#exports = exports as unknown as KernelExports;
    const half = ACCESS_WINDOW_WORDS / 2;
    const { regionsMax } = m.config;
    const { buffer } = memory;
    this.#seq = new Int32Array(buffer, scratch, 1);
    this.#events = new Int32Array(buffer, scratch + LINE_BYTES, half);
    this.#pfns = new Int32Array(buffer, scratch + LINE_BYTES + half * 4, half);
    const lastSeqs = scratch + LINE_BYTES + ACCESS_WINDOW_WORDS * 4;
    this.#lastSeqs = new Int32Array(buffer, lastSeqs, regionsMax * PTRS_PER_TABLE);
  }

  /** Room for a program's last stores, all 0. @returns null where there is not enough left */
  claim(slots: number): I32 | null {
    const from = this.#claimed;
    if (from + slots > this.#lastSeqs.length) return null;
    this.#claimed = from + slots;
    return this.#lastSeqs.subarray(from, from + slots);
  }

  /** Takes the window's events over. @param count events in it */
  load(window: AccessWindow, count: number): void {
    this.#events.set(window.events.subarray(0, count));
  }

  /**
   * Touches events `first` to `end - 1`, whose pfns the window has.
   * @param lastSeq as claimed @param tag word 0 of this CPU's slot after a store
   * @returns the first load that does not find what was stored last, or `end`
   * @context in the section that translated them
   */
  touch(
    window: AccessWindow,
    lastSeq: Int32Array<ArrayBufferLike>,
    first: number,
    end: number,
    cpu: number,
    tag: number,
  ): number {
    if (first === end) return end;
    this.#pfns.set(window.pfns.subarray(first, end), first);
    const events = this.#events.byteOffset;
    const stopped = this.#exports.touch(
      events + first * 4,
      events + end * 4,
      this.#pfns.byteOffset - events,
      lastSeq.byteOffset,
      cpu * 8,
      tag,
      this.#seq.byteOffset,
    );
    return ((stopped >>> 0) - events) / 4;
  }

  /** Number of the last store: the caller's to set before `touch` and to take after it. */
  get seq(): number {
    return this.#seq[0] as number;
  }

  set seq(value: number) {
    this.#seq[0] = value;
  }
}

const kernels = new WeakMap<Mm, TouchKernel>();

/**
 * The kernel of this CPU, made on first use.
 * @returns null where the frames have no scratch area
 * @context the CPU's own thread, outside a section
 */
export function touchKernelOf(m: Mm): TouchKernel | null {
  const bytes = touchScratchBytes(m.config);
  if (bytes === 0 || m.buffers.frames.length !== 1) return null;
  let kernel = kernels.get(m);
  if (kernel === undefined) {
    kernel = new TouchKernel(m, m.sizes.nrPages * PAGE_SIZE + m.task.cpu * bytes);
    kernels.set(m, kernel);
  }
  return kernel;
}
