// SPDX-License-Identifier: GPL-2.0-only
/**
 * libCacheSim's oracleGeneral binary: 24-byte little-endian records of u32 time, u64 object, u32
 * size, i64 number of the request that next asks for the object. The object is taken as the page
 * number and every request as a read.
 *
 * The format has no magic. It is recognised by its own rule: the next request for an object lies
 * ahead of this one, or is -1 or the largest number where there is none. Zeros, text and noise fail
 * it at once.
 */
import { inputError, type UsageError } from '../errors.ts';
import type { Trace } from './trace_builder.ts';
import { KIND_READ, TraceBuilder, VPN_LIMIT } from './trace_builder.ts';

const RECORD_BYTES = 24;
const PROBE_RECORDS = 64;

/** Whether record `index` names a next request that can be. */
function nextIsAhead(bytes: Buffer, index: number): boolean {
  const low = bytes.readUInt32LE(index * RECORD_BYTES + 16);
  const high = bytes.readInt32LE(index * RECORD_BYTES + 20);
  if (high === -1) return low === 0xffffffff;
  if (high >= 0x200000) return high === 0x7fffffff && low === 0xffffffff;
  return high >= 0 && high * 2 ** 32 + low > index;
}

/** @returns whether the bytes are whole records whose first ones obey the format's rule */
export function isOracleGeneral(bytes: Buffer): boolean {
  if (bytes.length < RECORD_BYTES || bytes.length % RECORD_BYTES !== 0) return false;
  const records = Math.min(bytes.length / RECORD_BYTES, PROBE_RECORDS);
  for (let i = 0; i < records; i++) {
    if (!nextIsAhead(bytes, i)) return false;
  }
  return true;
}

function fault(file: string, offset: number, reason: string): UsageError {
  const hint = 'oracleGeneral has 24-byte records of time, object, size and next request';
  return inputError({ file, position: `offset ${offset}`, reason, hint });
}

/**
 * Decodes an oracleGeneral trace.
 * @param limit events to keep, 1 or more
 * @returns the trace; throws UsageError, with the offset, on anything else
 * @context any thread; does not block
 */
export function decodeOracleGeneral(
  file: string,
  name: string,
  bytes: Buffer,
  limit = Infinity,
): Trace {
  const cut = bytes.length % RECORD_BYTES;
  if (cut !== 0) {
    throw fault(file, bytes.length - cut, `${cut} bytes are no whole record: truncated`);
  }
  const records = Math.min(bytes.length / RECORD_BYTES, limit);
  const builder = new TraceBuilder(name, 'oracleGeneral', records);
  for (let i = 0; i < records; i++) {
    const offset = i * RECORD_BYTES;
    const vpn = bytes.readUInt32LE(offset + 4) + bytes.readUInt32LE(offset + 8) * 2 ** 32;
    if (vpn >= VPN_LIMIT) throw fault(file, offset, 'object number outside 0..2^35-1');
    if (!nextIsAhead(bytes, i)) throw fault(file, offset, `next request is not after request ${i}`);
    if (!builder.add(vpn, KIND_READ)) {
      throw fault(file, offset, 'more than 2^21 distinct 2-MiB regions');
    }
  }
  return builder.finish();
}
