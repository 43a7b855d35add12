// SPDX-License-Identifier: GPL-2.0-only
/** A watcher that was stopped itself does not blame whom it watches. */
import { expect, test } from 'vitest';
import { QuietWatch } from '../../../dist/src/harness/quiet_watch.js';

test('quiet time adds up while the sign stays, and starts anew when it moves', () => {
  const watch = new QuietWatch(100, 1000);
  expect(watch.look(5, 1100)).toBe(0);
  expect(watch.look(5, 1200)).toBe(100);
  expect(watch.look(5, 1350)).toBe(250);
  expect(watch.look(6, 1450)).toBe(0);
  expect(watch.look(6, 1550)).toBe(100);
});

test('while nobody need show life there is no quiet', () => {
  const watch = new QuietWatch(100, 0);
  watch.look(1, 100);
  expect(watch.look(null, 200)).toBe(0);
  expect(watch.look(1, 300)).toBe(0);
  expect(watch.look(1, 400)).toBe(100);
});

test('an hour in which the watcher did not run counts as a few periods', () => {
  const watch = new QuietWatch(100, 0);
  watch.look(1, 100);
  expect(watch.look(1, 3_600_000)).toBe(400);
  expect(watch.look(1, 3_600_100)).toBe(500);
});
