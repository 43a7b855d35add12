// SPDX-License-Identifier: GPL-2.0-only
/** What pages are filled with: known again, wrong when changed, and as compressible as it says. */
import { describe, expect, it } from 'vitest';
import { compressPage } from '../../../dist/src/mm/compress.js';
import { FILL_RANDOM, fillPage, verifyFill } from '../../../dist/src/mm/content.js';

const WORDS = 1024;
const filled = (fillId: number, index: number): Int32Array => {
  const words = new Int32Array(WORDS);
  fillPage(words, fillId, index);
  return words;
};
const bytes = (words: Int32Array): Uint8Array => new Uint8Array(words.buffer);

describe.each([
  ['a third random', 3, 0.2, 0.5],
  ['random all over, but for the slots', 3 | FILL_RANDOM, 0.9, 1],
])('%s', (_, fillId, least, most) => {
  it('is known again, and nothing else is', () => {
    const words = filled(fillId, 7);
    expect(verifyFill(words, fillId, 7)).toBe(-1);
    expect(verifyFill(words, fillId, 8)).toBeGreaterThan(0);
    expect(verifyFill(words, fillId ^ FILL_RANDOM, 7)).toBeGreaterThan(0);
    for (const at of [WORDS - 1, WORDS >> 1]) {
      const wrong = words.slice();
      wrong[at] = (wrong[at] as number) ^ 1;
      expect(verifyFill(wrong, fillId, 7)).toBeGreaterThan(0);
    }
  });

  it('compresses as it says, however often that is done', () => {
    const page = bytes(filled(fillId, 7));
    const once = compressPage(page).slice();
    expect(once.length / page.length).toBeGreaterThanOrEqual(least);
    expect(once.length / page.length).toBeLessThanOrEqual(most);
    expect(compressPage(page, 5)).toEqual(once);
  });
});
