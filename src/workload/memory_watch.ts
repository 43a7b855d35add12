// SPDX-License-Identifier: GPL-2.0-only
/**
 * How short memory is, as a low-memory killer sees it: MemAvailable and SwapFree of /proc/meminfo,
 * and how long somebody waited for memory, of /proc/pressure/memory.
 */
import type { Proc } from '../../kthreads/proc.ts';

const KB_PER_PAGE = 4;

/** Thresholds: pages, and a part of the time. */
export interface Shortage {
  /** Memory is short when less than this is available, and less than `minSwap` of swap is free. */
  readonly minAvailable: number;
  readonly minSwap: number;
  /** It is short, too, when so much of the time since the last look somebody waited; 1: never. */
  readonly maxStall: number;
}

/** A process's own look at the machine. @context the CPU of the process */
export class MemoryWatch {
  readonly #proc: Proc;
  readonly #limits: Shortage;
  #stallUs = 0;
  #atNs = 0;

  constructor(proc: Proc, limits: Shortage) {
    this.#proc = proc;
    this.#limits = limits;
    this.#stalled();
  }

  /** @returns whether memory is short now, or was since the last look */
  short(): boolean {
    const stalled = this.#stalled() > this.#limits.maxStall;
    return stalled || this.#empty();
  }

  #empty(): boolean {
    const meminfo = String(this.#proc.readFile('/proc/meminfo'));
    const pages = (name: string): number =>
      Number(new RegExp(`^${name}: *(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0) / KB_PER_PAGE;
    const { minAvailable, minSwap } = this.#limits;
    return pages('MemAvailable') < minAvailable && pages('SwapFree') <= minSwap;
  }

  /** @returns part of the time since the last call that somebody waited for memory */
  #stalled(): number {
    const pressure = String(this.#proc.readFile('/proc/pressure/memory'));
    const totalUs = Number(/^some .*total=(\d+)/m.exec(pressure)?.[1] ?? 0);
    const now = this.#proc.now();
    const part = (totalUs - this.#stallUs) / Math.max((now - this.#atNs) / 1e3, 1);
    this.#stallUs = totalUs;
    this.#atNs = now;
    return part;
  }
}
