// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trace files as bytes: reads a whole file, plain or gzip, and writes one so that a reader sees the
 * old file or the new one, never half of it.
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { inputError, UsageError } from '../errors.ts';

/** The largest trace taken, decompressed. */
export const TRACE_BYTES_MAX = 2 ** 30;

const GZIP_MAGIC = [0x1f, 0x8b] as const;

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

const FILE_FAULTS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOENT: ['no such file or directory', 'check the path'],
  EACCES: ['permission denied', 'change its permissions'],
  EISDIR: ['is a directory', 'give a file'],
  ENOTDIR: ['a part of the path is not a directory', 'check the path'],
  ENAMETOOLONG: ['the path is too long', 'check the path'],
  ERR_INVALID_ARG_VALUE: ['the path is not valid', 'check the path'],
  ENOSPC: ['no space left on the device', 'free some space'],
  EROFS: ['the file system is read-only', 'write elsewhere'],
};

/** Turns a file system error into a one-line message. */
export function fileError(file: string, error: unknown): UsageError {
  if (error instanceof UsageError) return error;
  const code = errorCode(error);
  const [reason, hint] = FILE_FAULTS[code] ?? [`cannot be used (${code})`, 'check the path'];
  return inputError({ file, reason, hint });
}

async function readWhole(path: string): Promise<Buffer> {
  const info = await stat(path);
  if (info.isDirectory()) {
    throw inputError({ file: path, reason: 'is a directory', hint: 'give a file' });
  }
  if (!info.isFile()) {
    throw inputError({ file: path, reason: 'is not a regular file', hint: 'copy it to a file' });
  }
  if (info.size > TRACE_BYTES_MAX) throw tooLarge(path);
  const handle = await open(path);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function tooLarge(file: string): UsageError {
  const reason = `larger than ${TRACE_BYTES_MAX / 2 ** 20} MiB decompressed`;
  return inputError({ file, reason, hint: 'cut it into shorter traces' });
}

async function unzip(file: string, packed: Buffer): Promise<Buffer> {
  const hint = 'copy or capture the file again';
  try {
    return await promisify(gunzip)(packed, { maxOutputLength: TRACE_BYTES_MAX });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(file);
    const position = 'gzip';
    if (code === 'Z_BUF_ERROR') {
      throw inputError({ file, position, reason: 'the compressed data is truncated', hint });
    }
    const detail = error instanceof Error ? error.message : code;
    throw inputError({ file, position, reason: `the compressed data is corrupt: ${detail}`, hint });
  }
}

/**
 * Reads a file whole and undoes gzip, which is recognised by its first bytes.
 * @returns at least one byte; throws UsageError for what cannot be read
 * @context main thread or a worker; suspends
 */
export async function readFileBytes(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    throw fileError(path, error);
  }
  if (bytes.length === 0) {
    throw inputError({ file: path, reason: 'empty file', hint: 'give a trace file' });
  }
  if (bytes[0] !== GZIP_MAGIC[0] || bytes[1] !== GZIP_MAGIC[1]) return bytes;
  const plain = await unzip(path, bytes);
  if (plain.length === 0) {
    throw inputError({ file: path, reason: 'empty when decompressed', hint: 'give a trace file' });
  }
  return plain;
}

/**
 * Writes a file by way of a temporary one beside it; gzips where the name ends in `.gz`.
 * @returns bytes written; throws UsageError, and leaves nothing behind, where it cannot be written
 * @context main thread or a worker; suspends
 */
export async function writeFileAtomic(path: string, bytes: Buffer): Promise<number> {
  const packed = /\.gz$/i.test(path) ? await promisify(gzip)(bytes, { level: 9 }) : bytes;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  let created = false;
  try {
    const handle = await open(temporary, 'wx');
    created = true;
    try {
      await handle.writeFile(packed);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    if (created) await rm(temporary, { force: true });
    throw fileError(path, error);
  }
  return packed.length;
}
