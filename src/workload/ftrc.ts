// SPDX-License-Identifier: GPL-2.0-only
/**
 * FTRC, the trace format of traces/README.md: a 16-byte header and one LEB128 varint a record.
 *
 * | bytes | meaning                                                             |
 * | ----- | ------------------------------------------------------------------- |
 * | 0-3   | `FTRC`                                                              |
 * | 4     | version, 1                                                          |
 * | 5     | page shift, 12                                                      |
 * | 6-7   | flags, little-endian: 1 windowed-distinct, 2 has ticks              |
 * | 8-15  | number of records, little-endian                                    |
 * | 16..  | records: `v & 3` is the kind; 3 is a tick, which is exactly `3`;     |
 * |       | else `v >> 2` is the zigzag distance from the event before          |
 *
 * A record's value is below 2^38, so it has at most 6 bytes. It is decoded in two halves of at most
 * 28 bits, since `|` and `>>` keep only 32. The last byte of every record has its high bit clear:
 * counting those bytes gives the true number of records before anything is allocated or decoded.
 */
import { inputError, type UsageError } from '../errors.ts';
import type { Trace } from './trace_builder.ts';
import { eventVpn, TraceBuilder, VPN_LIMIT } from './trace_builder.ts';

export const FTRC_MAGIC = 'FTRC';
const VERSION = 1;
const PAGE_SHIFT = 12;
const HEADER_BYTES = 16;
const FLAG_REDUCED = 1;
const FLAG_TICKS = 2;
const RECORD_BYTES_MAX = 6;
const TICK = 3;

const HINT_COPY = 'copy or capture the file again';

function fault(file: string, position: string, reason: string, hint = HINT_COPY): UsageError {
  return inputError({ file, position, reason, hint });
}

interface Header {
  readonly flags: number;
  readonly records: bigint;
}

function readHeader(file: string, bytes: Buffer): Header {
  if (bytes.length < HEADER_BYTES) {
    throw fault(file, 'header', `${bytes.length} bytes, an FTRC header has ${HEADER_BYTES}`);
  }
  if (bytes.toString('latin1', 0, 4) !== FTRC_MAGIC) {
    throw fault(file, 'offset 0', 'wrong magic, expected FTRC', 'give a trace file');
  }
  if (bytes[4] !== VERSION) {
    const hint = `convert it to version ${VERSION}`;
    throw fault(file, 'offset 4', `version ${bytes[4]} is not known`, hint);
  }
  if (bytes[5] !== PAGE_SHIFT) {
    const hint = `capture it with ${2 ** PAGE_SHIFT}-byte pages`;
    throw fault(file, 'offset 5', `page shift ${bytes[5]}, expected ${PAGE_SHIFT}`, hint);
  }
  const flags = bytes.readUInt16LE(6);
  if ((flags & ~(FLAG_REDUCED | FLAG_TICKS)) !== 0) {
    throw fault(file, 'offset 6', `unknown flags 0x${flags.toString(16)}`);
  }
  return { flags, records: bytes.readBigUInt64LE(8) };
}

/** Checks the header's count against the records that are there. */
function checkCount(file: string, bytes: Buffer, claimed: bigint): number {
  let found = 0;
  for (let i = HEADER_BYTES; i < bytes.length; i++) found += (bytes[i]! >>> 7) ^ 1;
  const cut = bytes.length > HEADER_BYTES && bytes[bytes.length - 1]! >= 128;
  const short = BigInt(found) < claimed;
  if (cut && short) {
    const position = `offset ${bytes.length}`;
    throw fault(file, position, `truncated within record ${found + 1} of ${claimed}`);
  }
  if (short || cut || BigInt(found) > claimed) {
    const more = cut ? ' and a cut one' : '';
    const reason = `the header says ${claimed} records, the file has ${found}${more}`;
    throw fault(file, 'offset 8', reason);
  }
  return found;
}

/**
 * Decodes an FTRC file.
 * @param file path for messages
 * @param bytes the whole file, not compressed
 * @param limit events to keep, 1 or more
 * @returns the trace; throws UsageError on anything that the format does not allow
 * @context any thread; does not block
 */
export function decodeFtrc(file: string, name: string, bytes: Buffer, limit = Infinity): Trace {
  const header = readHeader(file, bytes);
  const records = checkCount(file, bytes, header.records);
  const builder = new TraceBuilder(name, 'ftrc', Math.min(records, limit));
  const end = bytes.length;
  let offset = HEADER_BYTES;
  let vpn = 0;
  while (offset < end) {
    const start = offset;
    let byte = bytes[offset++]!;
    let low = byte & 127;
    for (let shift = 7; byte >= 128 && shift < 28; shift += 7) {
      byte = offset < end ? bytes[offset++]! : overrun(file, start);
      low |= (byte & 127) << shift;
    }
    let high = 0;
    for (let shift = 0; byte >= 128; shift += 7) {
      if (offset - start === RECORD_BYTES_MAX) {
        throw fault(file, `offset ${start}`, `record longer than ${RECORD_BYTES_MAX} bytes`);
      }
      byte = offset < end ? bytes[offset++]! : overrun(file, start);
      high |= (byte & 127) << shift;
    }
    const kind = low & 3;
    if (kind === TICK) {
      if (low !== TICK || high !== 0) throw fault(file, `offset ${start}`, 'malformed tick record');
      builder.tick();
      continue;
    }
    if (builder.length >= limit) break;
    // low has 28 bits, of which 2 are the kind; high continues at bit 26 of the zigzag value.
    const zigzag = (low >>> 2) + high * 0x4000000;
    vpn += (low & 4) === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    if (vpn < 0 || vpn >= VPN_LIMIT) throw pageFault(file, start, vpn);
    if (!builder.add(vpn, kind)) throw regionsFault(file, start);
  }
  return builder.finish((header.flags & FLAG_REDUCED) !== 0);
}

function overrun(file: string, start: number): never {
  throw fault(file, `offset ${start}`, 'record cut off by the end of the file');
}

function pageFault(file: string, start: number, vpn: number): UsageError {
  return fault(file, `offset ${start}`, `page number ${vpn} is outside 0..2^35-1`);
}

function regionsFault(file: string, start: number): UsageError {
  const reason = 'more than 2^21 distinct 2-MiB regions';
  return fault(file, `offset ${start}`, reason, 'read fewer events');
}

/** Bytes that are appended to, in a buffer that doubles. */
class GrowingBytes {
  #bytes = Buffer.alloc(1 << 16);
  #length = 0;

  /** @param value integer in 0 .. 2^42-1 */
  pushVarint(value: number): void {
    if (this.#length + RECORD_BYTES_MAX > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    }
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = 128 + (rest % 128);
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  toBuffer(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** @returns the trace as an FTRC file, not compressed @context any thread; does not block */
export function encodeFtrc(trace: Trace): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(FTRC_MAGIC, 'latin1');
  header[4] = VERSION;
  header[5] = PAGE_SHIFT;
  const { events, tickAt } = trace;
  const flags = (trace.reduced ? FLAG_REDUCED : 0) | (tickAt.length > 0 ? FLAG_TICKS : 0);
  header.writeUInt16LE(flags, 6);
  header.writeBigUInt64LE(BigInt(events.length + tickAt.length), 8);
  const body = new GrowingBytes();
  let tick = 0;
  let last = 0;
  for (let i = 0; i < events.length; i++) {
    while (tick < tickAt.length && tickAt[tick] === i) {
      body.pushVarint(TICK);
      tick++;
    }
    const event = events[i]!;
    const vpn = eventVpn(trace, event);
    const delta = vpn - last;
    last = vpn;
    const zigzag = delta >= 0 ? delta * 2 : -delta * 2 - 1;
    body.pushVarint(zigzag * 4 + (event & 3));
  }
  for (; tick < tickAt.length; tick++) body.pushVarint(TICK);
  return Buffer.concat([header, body.toBuffer()]);
}
