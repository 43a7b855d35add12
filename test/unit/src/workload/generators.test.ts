// SPDX-License-Identifier: GPL-2.0-only
/** Generated traces: the same for a seed on every engine, shaped as asked, or refused. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../../dist/src/errors.js';
import { powOfMinus } from '../../../../dist/src/workload/exact_pow.js';
import {
  GENERATOR_KINDS,
  type GeneratorKind,
  type GeneratorOptions,
  generateTrace,
} from '../../../../dist/src/workload/generators.js';
import { eventVpn, type Trace } from '../../../../dist/src/workload/trace.js';

function hashOf(trace: Trace): string {
  const hash = createHash('sha256');
  hash.update(Buffer.from(new Uint8Array(trace.events.buffer)));
  hash.update(Buffer.from(new Uint8Array(trace.pages.buffer)));
  return hash.digest('hex').slice(0, 16);
}

const vpnsOf = (trace: Trace) => [...trace.events].map((event) => eventVpn(trace, event));

/** 20,000 events over 1,000 pages with seed 7, as this version and every later one makes them. */
const GOLDEN: Record<GeneratorKind, string> = {
  uniform: '562951d87855399a',
  zipf: 'f65fc3704e6b8e02',
  scan: 'e2293b867b1a258e',
  phases: '31a866e420b28601',
};

describe('generators', () => {
  for (const kind of GENERATOR_KINDS) {
    it(`${kind} is the same for the same seed, and as recorded`, () => {
      const options = { kind, pages: 1000, events: 20_000, seed: 7 };
      const trace = generateTrace(options);
      expect(trace.format).toBe('generated');
      expect(trace.events.length).toBe(20_000);
      expect(hashOf(trace)).toBe(GOLDEN[kind]);
      expect(hashOf(generateTrace(options))).toBe(GOLDEN[kind]);
      expect(hashOf(generateTrace({ ...options, seed: 8 }))).not.toBe(GOLDEN[kind]);
    });

    it(`${kind} stays within its pages and keeps its share of writes`, () => {
      const options = { kind, pages: 700, events: 20_000, firstVpn: 2 ** 35 - 700 };
      for (const writeFraction of [0, 0.3, 1]) {
        const trace = generateTrace({ ...options, writeFraction });
        const vpns = vpnsOf(trace);
        expect(Math.min(...vpns)).toBeGreaterThanOrEqual(2 ** 35 - 700);
        expect(Math.max(...vpns)).toBeLessThan(2 ** 35);
        const { reads, writes, ifetches } = trace.counts;
        expect(reads + writes).toBe(20_000);
        expect(ifetches).toBe(0);
        // Four standard deviations of a fair draw are 0.013; 0 and 1 are exact.
        expect(Math.abs(writes / 20_000 - writeFraction)).toBeLessThanOrEqual(
          writeFraction % 1 === 0 ? 0 : 0.015,
        );
      }
    });
  }

  it('scan goes through all pages in order', () => {
    const trace = generateTrace({ kind: 'scan', pages: 3, events: 7, firstVpn: 10 });
    expect(vpnsOf(trace)).toEqual([10, 11, 12, 10, 11, 12, 10]);
  });

  it('zipf gives ranks their weights and uniform none', () => {
    const share = (kind: GeneratorKind) => {
      const counts = new Map<number, number>();
      for (const vpn of vpnsOf(generateTrace({ kind, pages: 500, events: 50_000, theta: 1 }))) {
        counts.set(vpn, (counts.get(vpn) ?? 0) + 1);
      }
      return [...counts.values()].sort((a, b) => b - a).map((n) => n / 50_000);
    };
    // The harmonic number of 500 is 6.793: the first rank has 0.147 of the accesses.
    const zipf = share('zipf');
    expect(zipf[0]).toBeCloseTo(1 / 6.793, 2);
    expect(zipf[0]! / zipf[1]!).toBeCloseTo(2, 0);
    expect(share('uniform')[0]).toBeLessThan(0.004);
  });

  it('phases move a working set from the first pages to the last', () => {
    const trace = generateTrace({
      kind: 'phases',
      pages: 100,
      events: 4000,
      phases: 4,
      workingSetPages: 10,
      firstVpn: 0,
    });
    const vpns = vpnsOf(trace);
    for (const [phase, start] of [0, 30, 60, 90].entries()) {
      const part = new Set(vpns.slice(phase * 1000, (phase + 1) * 1000));
      expect([...part].sort((a, b) => a - b)).toEqual(
        Array.from({ length: 10 }, (_, i) => start + i),
      );
    }
  });

  it('powers are right to 1e-13', () => {
    for (const base of [1, 2, 3, 10, 999, 65536, 1e6, 2 ** 24]) {
      for (const exponent of [0, 0.5, 0.99, 1.2, 4, 16]) {
        const want = base ** -exponent;
        expect(Math.abs(powOfMinus(base, exponent) / want - 1)).toBeLessThan(1e-13);
      }
    }
  });
});

describe('generator options are refused', () => {
  const good: GeneratorOptions = { kind: 'phases', pages: 10, events: 10 };
  const cases: [Partial<Record<keyof GeneratorOptions, unknown>>, string][] = [
    [{ kind: 'bogus' }, "unknown kind 'bogus'; give one of uniform, zipf, scan, phases"],
    [{ pages: 0 }, 'pages is 0; give an integer in 1..16777216'],
    [{ pages: 1.5 }, 'pages is 1.5; give an integer in 1..16777216'],
    [{ pages: Number.NaN }, 'pages is NaN; give an integer in 1..16777216'],
    [{ events: -1 }, 'events is -1; give an integer in 1..268435456'],
    [{ events: 2 ** 40 }, 'events is 1099511627776; give an integer in 1..268435456'],
    [{ writeFraction: 1.1 }, 'writeFraction is 1.1; give a number in 0..1'],
    [{ writeFraction: Number.NaN }, 'writeFraction is NaN; give a number in 0..1'],
    [{ seed: -1 }, 'seed is -1; give an integer in 0..4294967295'],
    [{ firstVpn: 2 ** 35 }, 'firstVpn is 34359738368; give an integer in 0..34359738358'],
    [{ theta: Infinity }, 'theta is Infinity; give a number in 0..16'],
    [{ phases: 11 }, 'phases is 11; give an integer in 1..10'],
    [{ workingSetPages: 11 }, 'workingSetPages is 11; give an integer in 1..10'],
  ];
  for (const [bad, message] of cases) {
    it(message, () => {
      const make = () => generateTrace({ ...good, ...bad } as GeneratorOptions);
      expect(make).toThrow(UsageError);
      expect(make).toThrow(`generator: ${message}`);
    });
  }
});
