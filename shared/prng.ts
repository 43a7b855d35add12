// SPDX-License-Identifier: MIT
/**
 * Seeded pseudo-random numbers (sfc32): the only source of chance. Integer operations only, so the
 * sequence is the same on every engine version.
 */

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any 32-bit integer @param stream separates generators that share a seed */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < 12; i++) this.nextU32();
  }

  /** @returns an integer in 0 .. 2^32-1 */
  nextU32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** @param bound 1 .. 2^32 @returns an integer in 0 .. bound-1 (bias below 2^-32 x bound) */
  below(bound: number): number {
    return Math.floor((this.nextU32() / 4294967296) * bound);
  }

  /** @returns a number in [0, 1) with 32 random bits */
  nextFloat(): number {
    return this.nextU32() / 4294967296;
  }
}
