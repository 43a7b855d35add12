// SPDX-License-Identifier: GPL-2.0-only
/**
 * The fast paths of instrumented code see what the detector sees: random accesses of one thread by
 * the helpers, and the same ones told to the detector directly.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { registerBuffers } from '../../../dist/src/harness/locate.js';
import { OP_LOAD, OP_STORE } from '../../../dist/src/harness/ops.js';
import { FastTrack } from '../../../dist/src/harness/race/fasttrack.js';
import { probe, read, Site, write } from '../../../dist/src/harness/race/probe.js';
import {
  attachRace,
  createRaceBuffers,
  enterRace,
  leaveRace,
  raceAtomic,
  resetRace,
} from '../../../dist/src/harness/race/session.js';

const memory = new SharedArrayBuffer(32);
const BASE = 64;
const VIEWS = [
  new Int32Array(memory),
  new Int32Array(memory, 8, 2),
  new Uint8Array(memory),
  new Uint8Array(memory, 3, 6),
  new Int16Array(memory, 2),
  new Float64Array(memory),
  new BigInt64Array(memory, 8, 1),
  new Uint8ClampedArray(memory, 13),
] as unknown as Int32Array[];

let other: FastTrack;
let direct: FastTrack;
let sites: Site[][] = [];

beforeAll(() => registerBuffers([memory]));

/** A detector that has seen nothing: what is split stays split. */
function begin(): void {
  const span = BASE + 64;
  const buffers = createRaceBuffers(span, 2);
  attachRace(buffers, 0, null);
  other = new FastTrack(buffers, 1);
  direct = new FastTrack(buffers, 0);
  sites = VIEWS.map(() => [new Site(), new Site()]);
  resetRace();
}

interface Event {
  readonly mine: boolean;
  readonly view: number;
  readonly i: number;
  readonly write: boolean;
  /** An operation on word 7 instead: its kind. */
  readonly atomic: number;
}

/** Runs events in an execution of their own. @returns places at which races were seen, by event */
function run(events: readonly Event[], helpers: boolean): number[] {
  begin();
  other.step(0);
  direct.step(0);
  enterRace(0);
  const seen: number[] = [];
  events.forEach(({ mine, view, i, write: writes, atomic }, n) => {
    const step = n + 1;
    const words = VIEWS[view] as Int32Array;
    const size = words.BYTES_PER_ELEMENT;
    const address = BASE + words.byteOffset + i * size;
    if (atomic !== 0 && !mine) other.onAtomic(atomic, BASE + 28, 4, true, 0, step);
    else if (atomic !== 0 && helpers) raceAtomic(atomic, BASE + 28, 4, true, step);
    else if (atomic !== 0) direct.onAtomic(atomic, BASE + 28, 4, true, 0, step);
    else if (i < words.length && !mine) other.plain(address, size, writes, 1);
    else if (i < words.length && !helpers) direct.plain(address, size, writes, 2);
    else if (mine && helpers) {
      const site = (sites[view] as Site[])[writes ? 1 : 0] as Site;
      site.word = 2;
      if (writes) write(words, i, 0, site);
      else read(words, i, site);
    }
    if (other.races.all().length > 0) seen.push(n);
  });
  leaveRace();
  return seen;
}

const anEvent: fc.Arbitrary<Event> = fc.record({
  mine: fc.boolean(),
  view: fc.nat(VIEWS.length - 1),
  i: fc.nat(8),
  write: fc.boolean(),
  atomic: fc.constantFrom(0, 0, 0, 0, OP_LOAD, OP_STORE),
});

describe('the helpers', () => {
  test('find a race at the same event as the detector', () => {
    fc.assert(
      fc.property(fc.array(anEvent, { maxLength: 12 }), (events) => {
        const expected = run(events, false);
        expect(run(events, true)).toEqual(expected);
      }),
      { numRuns: 600, seed: 3 },
    );
  });

  test('keys that are no element, and objects that are no views, are let through', () => {
    begin();
    enterRace(0);
    other.step(0);
    other.plain(BASE, 32, true, 1);
    const view = VIEWS[0] as Int32Array;
    const odd = [-1, 1.5, NaN, 8, 2 ** 40, 'length', 'x', Symbol.iterator, -0.5, '01', undefined];
    const site = new Site();
    for (const key of odd) expect(read(view, key, site)).toBe(key);
    for (const object of [null, undefined, 1, 'ab', [1], {}, new Map(), new Int32Array(4)]) {
      expect(read(object, 0, site)).toBe(0);
      expect(write(object, 0, 5, site)).toBe(5);
    }
    expect(other.races.all()).toEqual([]);
    for (const key of [0, '1', 2n]) {
      const before = other.races.all()[0]?.times ?? 0;
      read(view, key, site);
      expect(other.races.all()[0]?.times).toBeGreaterThan(before);
    }
    leaveRace();
    expect(probe.epoch).toBe(0);
  });
});
