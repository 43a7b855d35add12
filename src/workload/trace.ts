// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading a trace file of any known format, and writing one.
 *
 * The format is found by content, after gzip is undone: `FTRC`; a first line `vpn,kind` for CSV;
 * lackey's lines for lackey; records that obey oracleGeneral's rules. The extension only sharpens
 * the message when the content is none of these. Page numbers, counts and lengths are checked
 * before they are used; every fault is one line that says where.
 */
import { basename } from 'node:path';
import { inputError, type UsageError } from '../errors.ts';
import { decodeCsv, encodeCsv, isCsv } from './csv.ts';
import { decodeFtrc, encodeFtrc, FTRC_MAGIC } from './ftrc.ts';
import { decodeLackey, isLackey } from './lackey.ts';
import { decodeOracleGeneral, isOracleGeneral } from './oracle_general.ts';
import { readRanges } from './sidecar.ts';
import type { Trace } from './trace_builder.ts';
import { readFileBytes, writeFileAtomic } from './trace_bytes.ts';

export type { Trace, TraceCounts, TraceFormat, TraceVma } from './trace_builder.ts';
export { eventVpn, KIND_IFETCH, KIND_READ, KIND_WRITE, REGION_PAGES } from './trace_builder.ts';

export interface ReadTraceOptions {
  /** Keep the first so many events, 1 or more. */
  readonly limit?: number;
  /** Read the sidecar too: without one, the trace will not do. Default false. */
  readonly ranges?: boolean;
}

const EXTENSION = /(?:\.(ftrc|csv|lackey(?:\.txt)?|oraclegeneral(?:\.bin)?|txt|bin))?(?:\.gz)?$/i;
const ZSTD_MAGIC = 0xfd2fb528;
const FORMATS = 'FTRC, CSV, lackey text or oracleGeneral';

/** @returns the file's name without directories, format and compression */
function traceName(path: string): string {
  const base = basename(path);
  return base.replace(EXTENSION, '') || base;
}

/** The extension that tells a format, lower case; empty where there is none. */
function traceExtension(path: string): string {
  return EXTENSION.exec(path)?.[1]?.toLowerCase() ?? '';
}

function decode(path: string, bytes: Buffer, limit: number): Trace {
  const name = traceName(path);
  const extension = traceExtension(path);
  if (bytes.toString('latin1', 0, 4) === FTRC_MAGIC || extension === 'ftrc') {
    return decodeFtrc(path, name, bytes, limit);
  }
  if (isCsv(bytes) || extension === 'csv') return decodeCsv(path, name, bytes, limit);
  if (isLackey(bytes) || extension.startsWith('lackey')) {
    return decodeLackey(path, name, bytes, limit);
  }
  if (isOracleGeneral(bytes) || extension.startsWith('oracle')) {
    return decodeOracleGeneral(path, name, bytes, limit);
  }
  throw notATrace(path, bytes);
}

function notATrace(file: string, bytes: Buffer): UsageError {
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === ZSTD_MAGIC) {
    return inputError({ file, reason: 'zstd data', hint: 'decompress it first, or use gzip' });
  }
  return inputError({ file, reason: `not a trace: none of ${FORMATS}`, hint: 'give a trace file' });
}

/**
 * Reads and decodes a trace file, plain or gzip.
 * @param path FTRC, CSV, lackey text or oracleGeneral
 * @returns a trace of at least one event; throws UsageError for anything else
 * @context main thread or a worker; suspends
 */
export async function readTrace(path: string, options: ReadTraceOptions = {}): Promise<Trace> {
  const bytes = await readFileBytes(path);
  const trace = decode(path, bytes, options.limit ?? Infinity);
  if (trace.events.length === 0) {
    throw inputError({ file: path, reason: 'holds no events', hint: 'capture a longer run' });
  }
  return options.ranges === true ? { ...trace, ranges: await readRanges(path) } : trace;
}

/**
 * Writes a trace as FTRC or CSV, by the name's ending, gzipped where it ends in `.gz`. CSV has no
 * place for ticks and loses them.
 * @returns bytes written; throws UsageError where the name or the place will not do
 * @context main thread or a worker; suspends
 */
export async function writeTrace(path: string, trace: Trace): Promise<number> {
  const extension = traceExtension(path);
  if (extension === 'ftrc') return writeFileAtomic(path, encodeFtrc(trace));
  if (extension === 'csv') return writeFileAtomic(path, encodeCsv(trace));
  const hint = 'name it .ftrc, .ftrc.gz, .csv or .csv.gz';
  throw inputError({ file: path, reason: 'no format that can be written', hint });
}
