// SPDX-License-Identifier: GPL-2.0-only
/**
 * Powers that are the same to the last bit on every engine.
 *
 * `Math.pow`, `Math.log` and `Math.exp` may differ in the last bit between engine versions, and one
 * bit in a popularity table is enough to draw another page. Addition, subtraction, multiplication
 * and division are rounded exactly as IEEE 754 says everywhere, so series made of them alone, with
 * a fixed number of terms in a fixed order, give the same result everywhere. The relative error of
 * `powOfMinus` is below 1e-13 for the ranges used here.
 */

const LN2 = Math.LN2;
/** Terms of the series: the arguments are small enough for these to reach double precision. */
const LN_TERMS = 24;
const EXP_TERMS = 18;

/**
 * Natural logarithm of a finite `x` >= 1: x = m * 2^k with m in [1, 2), and
 * ln m = 2 artanh((m - 1) / (m + 1)).
 */
function lnOf(x: number): number {
  let mantissa = x;
  let exponent = 0;
  while (mantissa >= 2) {
    mantissa /= 2;
    exponent++;
  }
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let term = LN_TERMS; term >= 0; term--) sum = sum * square + 1 / (2 * term + 1);
  return 2 * ratio * sum + exponent * LN2;
}

/** e^-x for x in 0 .. 700: e^-r * 2^-k with r in [0, ln 2), Taylor's series for e^-r. */
function expOfMinus(x: number): number {
  const halvings = Math.floor(x / LN2);
  const rest = x - halvings * LN2;
  let sum = 1;
  for (let term = EXP_TERMS; term >= 1; term--) sum = 1 - (sum * rest) / term;
  for (let i = 0; i < halvings; i++) sum /= 2;
  return sum;
}

/**
 * Computes `base ** -exponent`.
 * @param base 1 .. 2^53 @param exponent 0 .. 16
 * @returns a number in (0, 1], the same on every engine
 * @context any thread; does not block
 */
export function powOfMinus(base: number, exponent: number): number {
  return expOfMinus(lnOf(base) * exponent);
}
