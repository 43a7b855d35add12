// SPDX-License-Identifier: GPL-2.0-only
/** Watermarks against figures of a real kernel, and the formula's edges. */
import { describe, expect, it } from 'vitest';
import { defaultMinFreeKbytes, intSqrt, zoneWatermarkOk } from '../../../dist/src/mm/watermark.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

describe('watermark', () => {
  it.each([
    [0, 0],
    [1, 1],
    [15, 3],
    [16, 4],
    [2 ** 40 - 1, 2 ** 20 - 1],
    [2 ** 40, 2 ** 20],
  ])('intSqrt(%d) is %d', (value, root) => {
    expect(intSqrt(value)).toBe(root);
  });

  it('follows the kernel: 4 GiB has 8192 kB, tiny and huge machines are clamped', () => {
    expect(defaultMinFreeKbytes(4 * 1024 * 1024)).toBe(8192);
    expect(defaultMinFreeKbytes(100)).toBe(128);
    expect(defaultMinFreeKbytes(2 ** 40)).toBe(262144);
  });

  it('spaces low and high by the larger of min/4 and the scale factor', () => {
    const m = bootFixture({ pages: 16384, minFreeKbytes: 400 });
    expect([m.zone.wmarkMin[0], m.zone.wmarkLow[0], m.zone.wmarkHigh[0]]).toEqual([100, 125, 150]);
    const wide = bootFixture({ pages: 16384, minFreeKbytes: 400, watermarkScaleFactor: 1000 });
    expect(wide.zone.wmarkLow[0]).toBe(100 + 1638);
  });

  it('keeps the last page above the mark, and asks for a large enough block', () => {
    const m = bootFixture({ pages: 1024 });
    expect(zoneWatermarkOk(m, 0, 0, 1023, 0)).toBe(true);
    expect(zoneWatermarkOk(m, 0, 0, 1024, 0)).toBe(false);
    expect(zoneWatermarkOk(m, 0, 10, 0, 0)).toBe(true);
    m.freeArea.fill(0, 9, 11);
    expect(zoneWatermarkOk(m, 0, 10, 0, 0)).toBe(false);
  });
});
