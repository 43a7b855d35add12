// SPDX-License-Identifier: GPL-2.0-only
/**
 * Traces as valgrind's lackey prints them (`--tool=lackey --trace-mem=yes`): one access a line, `I`
 * instruction fetch, ` L` load, ` S` store, ` M` modify, then a hexadecimal address, a comma and a
 * decimal size in bytes.
 *
 * A modify is a load and then a store. An access that crosses pages is an access to each of them,
 * ascending. Lines that valgrind itself prints (`==pid==`, `--pid--`) and empty lines are ignored.
 * Nothing is collapsed: repeated accesses stay.
 */
import { inputError, type UsageError } from '../errors.ts';
import { digitValue, LineCursor, parseDigits } from './text_lines.ts';
import type { Trace } from './trace_builder.ts';
import { KIND_IFETCH, KIND_READ, KIND_WRITE, TraceBuilder, VPN_LIMIT } from './trace_builder.ts';

const PAGE_BYTES = 4096;
/** The largest access taken: more than any instruction makes, too little to flood a trace. */
const ACCESS_BYTES_MAX = 2 ** 20;
/** Lines looked at to tell lackey text from other text. */
const PROBE_LINES = 64;

const SPACE = 32;
const COMMA = 44;
/** Accesses that a letter stands for. */
const KINDS: ReadonlyMap<number, readonly number[]> = new Map([
  ['I'.charCodeAt(0), [KIND_IFETCH]],
  ['L'.charCodeAt(0), [KIND_READ]],
  ['S'.charCodeAt(0), [KIND_WRITE]],
  ['M'.charCodeAt(0), [KIND_READ, KIND_WRITE]],
]);
const ACCESS_LINE = /^(?:I {2}| [LSM] )[0-9a-f]+,\d+\s*$/i;
const VALGRIND_LINE = /^(==|--)\d+(==|--)/;

/** @returns whether the first line that is not valgrind's own is an access */
export function isLackey(bytes: Buffer): boolean {
  const cursor = new LineCursor(bytes);
  for (let i = 0; i < PROBE_LINES && cursor.next(); i++) {
    const text = cursor.text(80);
    if (text === '' || VALGRIND_LINE.test(text)) continue;
    return ACCESS_LINE.test(text);
  }
  return false;
}

function fault(file: string, cursor: LineCursor, reason: string): UsageError {
  const hint = "each line is ' L ADDRESS,SIZE' with I, L, S or M, as lackey prints it";
  return inputError({ file, position: `line ${cursor.line}`, reason, hint });
}

/** An access line taken apart; one object, filled again for every line. */
interface Access {
  letter: number;
  firstVpn: number;
  lastVpn: number;
}

/** Reads the current line into `access`. Throws where it is not an access. */
function parseAccess(file: string, cursor: LineCursor, access: Access): void {
  const { bytes } = cursor;
  let { start, end } = cursor;
  while (start < end && bytes[start] === SPACE) start++;
  while (end > start && bytes[end - 1] === SPACE) end--;
  access.letter = bytes[start] ?? 0;
  let digits = start + 1;
  while (digits < end && bytes[digits] === SPACE) digits++;
  let comma = digits;
  while (comma < end && digitValue(bytes[comma]!) < 16) comma++;
  const wellFormed = digits > start + 1 && comma > digits && bytes[comma] === COMMA;
  const size = wellFormed ? parseDigits(bytes, comma + 1, end, 10) : Number.NaN;
  if (Number.isNaN(size)) throw fault(file, cursor, `not a lackey line: ${cursor.show()}`);
  if (size < 1 || size > ACCESS_BYTES_MAX) {
    throw fault(file, cursor, `size outside 1..${ACCESS_BYTES_MAX} in ${cursor.show()}`);
  }
  const address = parseDigits(bytes, digits, comma, 16);
  access.firstVpn = Math.floor(address / PAGE_BYTES);
  access.lastVpn = Math.floor((address + size - 1) / PAGE_BYTES);
  if (access.lastVpn >= VPN_LIMIT) {
    throw fault(file, cursor, `address outside 0..2^47-1 in ${cursor.show()}`);
  }
}

/**
 * Decodes lackey text.
 * @param limit events to keep, 1 or more; may end within a modify or a crossing access
 * @returns the trace; throws UsageError, with the line, on anything else
 * @context any thread; does not block
 */
export function decodeLackey(file: string, name: string, bytes: Buffer, limit = Infinity): Trace {
  const cursor = new LineCursor(bytes);
  const builder = new TraceBuilder(name, 'lackey');
  const access: Access = { letter: 0, firstVpn: 0, lastVpn: 0 };
  while (builder.length < limit && cursor.next()) {
    if (cursor.start === cursor.end) continue;
    const first = bytes[cursor.start];
    if ((first === 61 || first === 45) && VALGRIND_LINE.test(cursor.text(24))) continue;
    parseAccess(file, cursor, access);
    const kinds = KINDS.get(access.letter);
    if (kinds === undefined) throw fault(file, cursor, `unknown access in ${cursor.show()}`);
    for (const kind of kinds) {
      for (let vpn = access.firstVpn; vpn <= access.lastVpn; vpn++) {
        if (builder.length >= limit) break;
        if (!builder.add(vpn, kind)) {
          throw fault(file, cursor, 'more than 2^21 distinct 2-MiB regions');
        }
      }
    }
  }
  return builder.finish();
}
