// SPDX-License-Identifier: GPL-2.0-only
/**
 * CSV traces: a header line `vpn,kind`, then one access a line. The page number is decimal, or
 * hexadecimal after `0x`. The kind is `r`, `w` or `i` (also `read`, `write`, `ifetch`, or 0, 1, 2
 * as in FTRC), in any case. Spaces around a field and empty lines are ignored.
 */
import { inputError, type UsageError } from '../errors.ts';
import { LineCursor, parseDigits } from './text_lines.ts';
import type { Trace } from './trace_builder.ts';
import { eventVpn, TraceBuilder, VPN_LIMIT } from './trace_builder.ts';

const HEADER = /^(?:\xef\xbb\xbf)?\s*vpn\s*,\s*kind\s*$/i;
const HEADER_CHARS_MAX = 64;
const COMMA = 44;
const SPACE = 32;
const TAB = 9;

const KINDS = new Map([
  ['0', 0],
  ['r', 0],
  ['read', 0],
  ['1', 1],
  ['w', 1],
  ['write', 1],
  ['2', 2],
  ['i', 2],
  ['ifetch', 2],
]);
const KIND_CHARS_MAX = 6;
const KIND_NAMES = ['r', 'w', 'i'] as const;

/** @returns whether the first line is the header */
export function isCsv(bytes: Buffer): boolean {
  const cursor = new LineCursor(bytes);
  return cursor.next() && HEADER.test(cursor.text(HEADER_CHARS_MAX));
}

function fault(file: string, cursor: LineCursor, reason: string): UsageError {
  const hint = 'each line is VPN,KIND with kind r, w or i';
  return inputError({ file, position: `line ${cursor.line}`, reason, hint });
}

/** Reads the page number between two offsets. */
function parseVpn(file: string, cursor: LineCursor, from: number, to: number): number {
  const { bytes } = cursor;
  const hex = to - from > 2 && bytes[from] === 48 && (bytes[from + 1]! | 32) === 120;
  const vpn = hex ? parseDigits(bytes, from + 2, to, 16) : parseDigits(bytes, from, to, 10);
  if (Number.isNaN(vpn)) throw fault(file, cursor, `no page number in ${cursor.show()}`);
  if (vpn >= VPN_LIMIT) {
    throw fault(file, cursor, `page number outside 0..2^35-1 in ${cursor.show()}`);
  }
  return vpn;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** Reads the kind between two offsets: one character in nearly every line, so that comes first. */
function parseKind(file: string, cursor: LineCursor, from: number, to: number): number {
  const word =
    to - from > KIND_CHARS_MAX ? '' : cursor.bytes.toString('latin1', from, to).toLowerCase();
  const kind = KINDS.get(word);
  if (kind === undefined) throw fault(file, cursor, `unknown kind in ${cursor.show()}`);
  return kind;
}

/**
 * Decodes a CSV trace.
 * @param limit events to keep, 1 or more
 * @returns the trace; throws UsageError, with the line, on anything else
 * @context any thread; does not block
 */
export function decodeCsv(file: string, name: string, bytes: Buffer, limit = Infinity): Trace {
  const cursor = new LineCursor(bytes);
  cursor.next();
  if (!HEADER.test(cursor.text(HEADER_CHARS_MAX))) {
    const hint = "put 'vpn,kind' on the first line";
    throw inputError({ file, position: 'line 1', reason: 'no CSV header', hint });
  }
  const builder = new TraceBuilder(name, 'csv');
  while (builder.length < limit && cursor.next()) {
    let { start, end } = cursor;
    while (start < end && isBlank(bytes[start])) start++;
    while (end > start && isBlank(bytes[end - 1])) end--;
    if (start === end) continue;
    let comma = start;
    while (comma < end && bytes[comma] !== COMMA) comma++;
    if (comma === end) throw fault(file, cursor, `no comma in ${cursor.show()}`);
    let vpnEnd = comma;
    while (vpnEnd > start && isBlank(bytes[vpnEnd - 1])) vpnEnd--;
    let kindStart = comma + 1;
    while (kindStart < end && isBlank(bytes[kindStart])) kindStart++;
    const vpn = parseVpn(file, cursor, start, vpnEnd);
    const kind = parseKind(file, cursor, kindStart, end);
    if (!builder.add(vpn, kind)) {
      throw fault(file, cursor, 'more than 2^21 distinct 2-MiB regions');
    }
  }
  return builder.finish();
}

/** @returns the trace as a CSV file, without its ticks @context any thread; does not block */
export function encodeCsv(trace: Trace): Buffer {
  const chunks: Buffer[] = [];
  let text = 'vpn,kind\n';
  for (const event of trace.events) {
    text += `${eventVpn(trace, event)},${KIND_NAMES[event & 3]}\n`;
    if (text.length > 1 << 16) {
      chunks.push(Buffer.from(text, 'latin1'));
      text = '';
    }
  }
  chunks.push(Buffer.from(text, 'latin1'));
  return Buffer.concat(chunks);
}
