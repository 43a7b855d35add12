// SPDX-License-Identifier: GPL-2.0-only
/** What readers and writers of traces preserve, and what a decoded trace says of itself. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  eventVpn,
  readTrace,
  type Trace,
  writeTrace,
} from '../../../../dist/src/workload/trace.js';
import {
  csvFile,
  ftrcFile,
  ftrcPayload,
  lackeyFile,
  oracleFile,
  type Rec,
  Scratch,
} from './trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());

const VPN_MAX = 2 ** 35 - 1;

const vpn = fc.oneof(
  fc.integer({ min: 0, max: 3000 }),
  fc.integer({ min: 2 ** 22 - 600, max: 2 ** 22 + 600 }),
  fc.maxSafeNat().map((n) => n % (VPN_MAX + 1)),
  fc.constantFrom(0, VPN_MAX),
);
const access = fc.record({ vpn, kind: fc.integer({ min: 0, max: 2 }) });
const tick = fc.constant({ vpn: 0, kind: 3 });
// The default size would keep nearly all of them below ten.
const accesses = fc.array(access, { minLength: 1, maxLength: 200, size: 'max' });

/** The records of a trace, ticks in their places. */
function recordsOf(trace: Trace): Rec[] {
  const records: Rec[] = [];
  let at = 0;
  for (const [i, event] of trace.events.entries()) {
    for (; trace.tickAt[at] === i; at++) records.push({ vpn: 0, kind: 3 });
    records.push({ vpn: eventVpn(trace, event), kind: event & 3 });
  }
  for (; at < trace.tickAt.length; at++) records.push({ vpn: 0, kind: 3 });
  return records;
}

const FORMATS = [
  ['a.ftrc', (r: Rec[]) => ftrcFile(ftrcPayload(r)), 'ftrc'],
  ['a.ftrc.gz', (r: Rec[]) => ftrcFile(ftrcPayload(r)), 'ftrc'],
  ['unnamed', (r: Rec[]) => ftrcFile(ftrcPayload(r)), 'ftrc'],
  ['a.csv', csvFile, 'csv'],
  ['a.csv.gz', csvFile, 'csv'],
  ['a.txt', csvFile, 'csv'],
  ['a.lackey.txt', lackeyFile, 'lackey'],
  ['a.lackey.txt.gz', lackeyFile, 'lackey'],
  ['a.log', lackeyFile, 'lackey'],
] as const;

describe('reading', () => {
  for (const [name, encode, format] of FORMATS) {
    it(`gives the accesses of ${name} back`, async () => {
      await fc.assert(
        fc.asyncProperty(accesses, async (records) => {
          const trace = await readTrace(scratch.put(name, encode(records)));
          expect(trace.format).toBe(format);
          expect(recordsOf(trace)).toEqual(records);
        }),
        { numRuns: 40 },
      );
    });
  }

  it('takes oracleGeneral objects as pages that are read', async () => {
    await fc.assert(
      fc.asyncProperty(accesses, async (records) => {
        for (const name of ['a.oracleGeneral.bin', 'plain', 'a.oracleGeneral.gz']) {
          const trace = await readTrace(scratch.put(name, oracleFile(records)));
          expect(trace.format).toBe('oracleGeneral');
          expect(trace.name).toBe(name.split('.')[0]);
          expect(recordsOf(trace)).toEqual(records.map((r) => ({ vpn: r.vpn, kind: 0 })));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keeps ticks where they are', async () => {
    const mixed = fc.tuple(accesses, fc.array(fc.oneof(access, tick), { maxLength: 50 }));
    await fc.assert(
      fc.asyncProperty(mixed, async ([some, more]) => {
        const records = [...more, ...some, { vpn: 0, kind: 3 }];
        const trace = await readTrace(scratch.put('t.ftrc', ftrcFile(ftrcPayload(records))));
        expect(recordsOf(trace)).toEqual(records);
        expect(trace.counts.records).toBe(records.length);
      }),
      { numRuns: 40 },
    );
  });

  it('stops before the event after the limit', async () => {
    await fc.assert(
      fc.asyncProperty(accesses, fc.integer({ min: 1, max: 220 }), async (records, limit) => {
        for (const [name, encode] of FORMATS) {
          const trace = await readTrace(scratch.put(name, encode(records)), { limit });
          expect(recordsOf(trace)).toEqual(records.slice(0, limit));
        }
      }),
      { numRuns: 15 },
    );
  });

  it('counts kinds, pages, VMAs and page tables as a naive count does', async () => {
    await fc.assert(
      fc.asyncProperty(accesses, async (records) => {
        const trace = await readTrace(scratch.put('c.ftrc', ftrcFile(ftrcPayload(records))));
        const pages = [...new Set(records.map((r) => r.vpn))];
        expect([...trace.pages]).toEqual(pages);
        const { reads, writes, ifetches } = trace.counts;
        const kinds = [0, 1, 2].map((k) => records.filter((r) => r.kind === k).length);
        expect([reads, writes, ifetches]).toEqual(kinds);
        const inVma = (page: number) => trace.vmas.some((v) => page >= v.start && page < v.end);
        expect(pages.every(inVma)).toBe(true);
        const levels = [9, 18, 27, 36].map((bits) => {
          return new Set(pages.map((page) => Math.floor(page / 2 ** bits))).size;
        });
        expect(trace.pageTables).toBe(levels.reduce((sum, n) => sum + n, 0));
      }),
      { numRuns: 60 },
    );
  });

  it('merges gaps of 512 untouched pages into a VMA and none of 513', async () => {
    const pages = [1000, 1513, 2027, 5].map((page) => ({ vpn: page, kind: 0 }));
    const trace = await readTrace(scratch.put('v.csv', csvFile(pages)));
    expect(trace.vmas).toEqual([
      { start: 5, end: 6 },
      { start: 1000, end: 1514 },
      { start: 2027, end: 2028 },
    ]);
  });

  it('shares everything large between threads', async () => {
    const trace = await readTrace(scratch.put('s.csv', csvFile([{ vpn: 7, kind: 1 }])));
    for (const column of [trace.events, trace.regions, trace.pages, trace.tickAt]) {
      expect(column.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    expect(structuredClone({ vmas: trace.vmas, counts: trace.counts }).vmas).toEqual(trace.vmas);
  });
});

describe('lackey text', () => {
  const read = async (text: string) =>
    recordsOf(await readTrace(scratch.put('l.lackey.txt', text))).map((r) => [r.vpn, r.kind]);

  it('takes a modify as a load and a store', async () => {
    expect(await read(' M 1000,8\n')).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  it('splits an access that crosses pages', async () => {
    expect(await read(' L 1fff,2\n M 2ffc,8\nI  3000,4096\n S 3001,4096')).toEqual([
      [1, 0],
      [2, 0],
      [2, 0],
      [3, 0],
      [2, 1],
      [3, 1],
      [3, 2],
      [3, 1],
      [4, 1],
    ]);
  });

  it('collapses nothing and skips what valgrind says', async () => {
    const text = '==12== Lackey\r\n--12-- x\n\n L 1000,1\r\n==12== more\n L 1000,1\n';
    expect(await read(text)).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });
});

describe('CSV', () => {
  it('takes the names, numbers and spaces that people write', async () => {
    const text = '\ufeffVPN , Kind\r\n 1 , read\r\n2,WRITE\n\n3,ifetch\n4,0\n5,1\n0x1F,2\n7,R';
    const trace = await readTrace(scratch.put('n.csv', text));
    const want = ['1 0', '2 1', '3 2', '4 0', '5 1', '31 2', '7 0'];
    expect(recordsOf(trace).map((r) => `${r.vpn} ${r.kind}`)).toEqual(want);
  });
});

describe('writing', () => {
  it('gives back what was read, in every format it knows', async () => {
    const mixed = fc.tuple(accesses, fc.array(fc.oneof(access, tick), { maxLength: 50 }));
    await fc.assert(
      fc.asyncProperty(mixed, fc.integer({ min: 0, max: 1 }), async ([some, more], reduced) => {
        const file = ftrcFile(ftrcPayload([...some, ...more]), { flags: reduced });
        const trace = await readTrace(scratch.put('in.ftrc', file));
        for (const name of ['out.ftrc', 'out.ftrc.gz', 'out.csv', 'out.csv.gz']) {
          await writeTrace(scratch.path(name), trace);
          const again = await readTrace(scratch.path(name));
          const csv = name.includes('csv');
          const want = csv ? recordsOf(trace).filter((r) => r.kind !== 3) : recordsOf(trace);
          expect(recordsOf(again)).toEqual(want);
          expect(again.reduced).toBe(!csv && reduced === 1);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('writes the bundled traces byte for byte as they are', async () => {
    for (const name of ['sqlite', 'sort']) {
      const trace = await readTrace(`traces/${name}.ftrc.gz`);
      await writeTrace(scratch.path('same.ftrc'), trace);
      const want = gunzipSync(readFileSync(`traces/${name}.ftrc.gz`));
      expect(readFileSync(scratch.path('same.ftrc')).equals(want)).toBe(true);
    }
  });

  it('leaves nothing behind and the old file whole when it cannot write', async () => {
    const trace = await readTrace(scratch.put('in.csv', csvFile([{ vpn: 7, kind: 1 }])));
    const nowhere = scratch.path('none/out.csv');
    await expect(writeTrace(nowhere, trace)).rejects.toThrow(
      `${nowhere}: no such file or directory; check the path`,
    );
    // The temporary file is written in full before the rename meets the directory.
    const occupied = scratch.path('dir.csv');
    mkdirSync(occupied);
    const before = readdirSync(scratch.dir);
    await expect(writeTrace(occupied, trace)).rejects.toThrow(
      `${occupied}: is a directory; give a file`,
    );
    expect(readdirSync(scratch.dir)).toEqual(before);
  });

  it('refuses a name that tells no format', async () => {
    const trace = await readTrace(scratch.put('in.csv', csvFile([{ vpn: 7, kind: 1 }])));
    await expect(writeTrace('out.txt', trace)).rejects.toThrow(
      'out.txt: no format that can be written; name it .ftrc, .ftrc.gz, .csv or .csv.gz',
    );
  });
});
