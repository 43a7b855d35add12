// SPDX-License-Identifier: GPL-2.0-only
/** Every input that is not a trace, and the one line that says so. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../../../dist/src/errors.js';
import { readTrace } from '../../../../dist/src/workload/trace.js';
import { ftrcFile, ftrcPayload, oracleFile, Scratch, varint } from './trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());

const GOOD = ftrcPayload([
  { vpn: 5, kind: 0 },
  { vpn: 6, kind: 1 },
  { vpn: 0, kind: 3 },
  { vpn: 2 ** 34, kind: 2 },
]);
const COPY = 'copy or capture the file again';
const HUGE = varint((BigInt(2 ** 35) << 3n) | 1n);

/** The message that reading `file` ends with, its own path left out. */
async function messageOf(file: string, limit?: number): Promise<string> {
  const failure = await readTrace(file, limit === undefined ? {} : { limit }).then(
    () => new Error('was read'),
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(UsageError);
  const error = failure as UsageError;
  expect(error.exitCode).toBe(2);
  expect(error.message).not.toMatch(/[\n\r]/);
  expect(error.message.startsWith(`${file}:`)).toBe(true);
  return error.message.slice(file.length + 2);
}

type Case = readonly [what: string, name: string, bytes: Buffer | string, message: string];

const CASES: readonly Case[] = [
  ['an empty file', 'a.ftrc', '', 'empty file; give a trace file'],
  ['an empty gzip file', 'a.ftrc.gz', '', 'empty when decompressed; give a trace file'],
  ['a short header', 'a.ftrc', 'FTRC\x01', `header: 5 bytes, an FTRC header has 16; ${COPY}`],
  [
    'a wrong magic',
    'a.ftrc',
    ftrcFile(GOOD, { magic: 'FTRX' }),
    'offset 0: wrong magic, expected FTRC; give a trace file',
  ],
  [
    'a wrong version',
    'a.ftrc',
    ftrcFile(GOOD, { version: 2 }),
    'offset 4: version 2 is not known; convert it to version 1',
  ],
  [
    'a wrong page shift',
    'a.ftrc',
    ftrcFile(GOOD, { shift: 16 }),
    'offset 5: page shift 16, expected 12; capture it with 4096-byte pages',
  ],
  ['unknown flags', 'a.ftrc', ftrcFile(GOOD, { flags: 6 }), `offset 6: unknown flags 0x6; ${COPY}`],
  [
    'a count that is too high',
    'a.ftrc',
    ftrcFile(GOOD, { records: 5n }),
    `offset 8: the header says 5 records, the file has 4; ${COPY}`,
  ],
  [
    'a count beyond all memory',
    'a.ftrc',
    ftrcFile(GOOD, { records: 2n ** 64n - 1n }),
    `offset 8: the header says 18446744073709551615 records, the file has 4; ${COPY}`,
  ],
  [
    'a count that is too low',
    'a.ftrc',
    ftrcFile(GOOD, { records: 3n }),
    `offset 8: the header says 3 records, the file has 4; ${COPY}`,
  ],
  [
    'a trailing piece of a record',
    'a.ftrc',
    ftrcFile([...GOOD, 0x80]),
    `offset 8: the header says 4 records, the file has 4 and a cut one; ${COPY}`,
  ],
  [
    'a payload cut within a record',
    'a.ftrc',
    ftrcFile(GOOD.slice(0, -1), { records: 4n }),
    `offset 24: truncated within record 4 of 4; ${COPY}`,
  ],
  [
    'a record that is too long',
    'a.ftrc',
    ftrcFile([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
    `offset 16: record longer than 6 bytes; ${COPY}`,
  ],
  [
    'a tick that carries more',
    'a.ftrc',
    ftrcFile([8, 7]),
    `offset 17: malformed tick record; ${COPY}`,
  ],
  [
    'a long tick that carries more',
    'a.ftrc',
    ftrcFile([8, 0x83, 0x80, 0x80, 0x80, 1]),
    `offset 17: malformed tick record; ${COPY}`,
  ],
  [
    'a page number beyond 2^35',
    'a.ftrc',
    ftrcFile(HUGE),
    `offset 16: page number 34359738368 is outside 0..2^35-1; ${COPY}`,
  ],
  [
    'a page number below 0',
    'a.ftrc',
    ftrcFile([8, 12]),
    `offset 17: page number -1 is outside 0..2^35-1; ${COPY}`,
  ],
  ['no events', 'a.ftrc', ftrcFile([]), 'holds no events; capture a longer run'],
  ['ticks only', 'a.ftrc', ftrcFile([3, 3]), 'holds no events; capture a longer run'],
  [
    'CSV without a header',
    'a.csv',
    '1,r\n',
    "line 1: no CSV header; put 'vpn,kind' on the first line",
  ],
  ['CSV without events', 'a.csv', 'vpn,kind\n\n', 'holds no events; capture a longer run'],
  [
    'CSV with an unknown kind',
    'a.csv',
    'vpn,kind\n1,r\n2,x\n',
    "line 3: unknown kind in '2,x'; each line is VPN,KIND with kind r, w or i",
  ],
  [
    'CSV without a comma',
    'a.csv',
    'vpn,kind\n12\n',
    "line 2: no comma in '12'; each line is VPN,KIND with kind r, w or i",
  ],
  [
    'CSV with a third field',
    'a.csv',
    'vpn,kind\n1,r,2\n',
    "line 2: unknown kind in '1,r,2'; each line is VPN,KIND with kind r, w or i",
  ],
  [
    'CSV with a page beyond 2^35',
    'a.csv',
    'vpn,kind\n34359738368,r\n',
    "line 2: page number outside 0..2^35-1 in '34359738368,r'; " +
      'each line is VPN,KIND with kind r, w or i',
  ],
  [
    'lackey text with a foreign line',
    'a.lackey.txt',
    ' L 1000,1\nhello\x1b[31m\n',
    "line 2: not a lackey line: 'hello\\x1b[31m'; " +
      "each line is ' L ADDRESS,SIZE' with I, L, S or M, as lackey prints it",
  ],
  [
    'lackey text with an unknown letter',
    'a.lackey.txt',
    ' X 1000,1\n',
    "line 1: unknown access in ' X 1000,1'; " +
      "each line is ' L ADDRESS,SIZE' with I, L, S or M, as lackey prints it",
  ],
  [
    'lackey text with a size of 0',
    'a.lackey.txt',
    ' L 1000,0\n',
    "line 1: size outside 1..1048576 in ' L 1000,0'; " +
      "each line is ' L ADDRESS,SIZE' with I, L, S or M, as lackey prints it",
  ],
  [
    'lackey text with an address beyond 2^47',
    'a.lackey.txt',
    ' L 7fffffffffff,2\n',
    "line 1: address outside 0..2^47-1 in ' L 7fffffffffff,2'; " +
      "each line is ' L ADDRESS,SIZE' with I, L, S or M, as lackey prints it",
  ],
  [
    'oracleGeneral cut within a record',
    'a.oracleGeneral',
    oracleFile([{ vpn: 1, kind: 0 }]).subarray(0, 20),
    'offset 0: 20 bytes are no whole record: truncated; ' +
      'oracleGeneral has 24-byte records of time, object, size and next request',
  ],
  [
    'oracleGeneral with an object that is no page',
    'a.bin',
    oracleFile([
      { vpn: 1, kind: 0 },
      { vpn: 2 ** 35, kind: 0 },
    ]),
    'offset 24: object number outside 0..2^35-1; ' +
      'oracleGeneral has 24-byte records of time, object, size and next request',
  ],
  [
    'text that is no trace',
    'poem.txt',
    'Twas brillig, and the slithy toves',
    'not a trace: none of FTRC, CSV, lackey text or oracleGeneral; give a trace file',
  ],
  [
    'binary that is no trace',
    'a.bin',
    Buffer.alloc(240),
    'not a trace: none of FTRC, CSV, lackey text or oracleGeneral; give a trace file',
  ],
  [
    'one byte',
    'a',
    'x',
    'not a trace: none of FTRC, CSV, lackey text or oracleGeneral; give a trace file',
  ],
  [
    'zstd',
    'a.oracleGeneral.bin.zst',
    Buffer.from('28b52ffd00', 'hex'),
    'zstd data; decompress it first, or use gzip',
  ],
];

describe('a file is refused that is', () => {
  for (const [what, name, bytes, message] of CASES) {
    it(what, async () => {
      expect(await messageOf(scratch.put(name, bytes))).toBe(message);
    });
  }

  for (const line of ['-1,r', '1.5,r', 'NaN,r', ',r', '1e3,r', '0x,r', '+1,r', ' ,']) {
    it(`CSV with the line '${line}'`, async () => {
      const file = scratch.put('n.csv', `vpn,kind\n1,w\n${line}\n`);
      expect(await messageOf(file)).toMatch(/^line 3: no page number in '/);
    });
  }

  for (const line of [' L ,1', ' L 10', ' L 10,', ' L 10,-1', ' L 10,x', 'L', ' L 10 20,1', 'I']) {
    it(`lackey text with the line '${line}'`, async () => {
      const file = scratch.put('n.lackey.txt', ` L 1000,1\n${line}\n`);
      expect(await messageOf(file)).toMatch(/^line 2: not a lackey line: '/);
    });
  }
});

describe('gzip is refused that is', () => {
  const packed = gzipSync(ftrcFile(GOOD));

  it('truncated, at any length', async () => {
    for (let length = 2; length < packed.length; length++) {
      writeFileSync(scratch.path('cut.gz'), packed.subarray(0, length));
      expect(await messageOf(scratch.path('cut.gz'))).toBe(
        `gzip: the compressed data is truncated; ${COPY}`,
      );
    }
  });

  it('corrupt', async () => {
    const corrupt = Buffer.from(packed);
    corrupt[packed.length - 8]! ^= 1;
    writeFileSync(scratch.path('bad.gz'), corrupt);
    expect(await messageOf(scratch.path('bad.gz'))).toBe(
      `gzip: the compressed data is corrupt: incorrect data check; ${COPY}`,
    );
  });

  it('followed by something else', async () => {
    writeFileSync(scratch.path('tail.gz'), Buffer.concat([packed, Buffer.from('tail')]));
    expect(await messageOf(scratch.path('tail.gz'))).toBe(
      `gzip: the compressed data is corrupt: incorrect header check; ${COPY}`,
    );
  });
});

describe('a path is refused that is', () => {
  it('missing', async () => {
    const message = await messageOf(scratch.path('missing'));
    expect(message).toBe('no such file or directory; check the path');
  });

  it('a directory', async () => {
    mkdirSync(scratch.path('dir'), { recursive: true });
    expect(await messageOf(scratch.path('dir'))).toBe('is a directory; give a file');
  });

  it('a device', async () => {
    expect(await messageOf('/dev/zero')).toBe('is not a regular file; copy it to a file');
  });

  it('not a path at all, or one with a line break', async () => {
    await expect(readTrace('a\0b')).rejects.toThrow('a\\x00b: the path is not valid');
    await expect(readTrace('a\nb')).rejects.toThrow('a\\x0ab: no such file or directory');
  });
});

describe('whatever the bytes are', () => {
  it('reading them gives a trace or a one-line error', async () => {
    const payload = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 80, size: 'max' });
    const names = fc.constantFrom('f.ftrc', 'f.csv', 'f.lackey', 'f.oracleGeneral', 'f');
    const heads = fc.constantFrom('', 'FTRC', 'FTRC\x01\x0c\0\0', 'vpn,kind\n', ' L 10,1\n');
    await fc.assert(
      fc.asyncProperty(heads, payload, names, fc.boolean(), async (head, bytes, name, whole) => {
        const data = whole
          ? ftrcFile(bytes)
          : Buffer.concat([Buffer.from(head), Buffer.from(bytes)]);
        const outcome = await readTrace(scratch.put(name, data)).catch((error: unknown) => error);
        if (outcome instanceof Error) {
          expect(outcome).toBeInstanceOf(UsageError);
          expect(outcome.message).not.toMatch(/[\n\r]/);
        }
      }),
      { numRuns: 400 },
    );
  });
});
