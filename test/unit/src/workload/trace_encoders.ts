// SPDX-License-Identifier: GPL-2.0-only
/**
 * Encoders of the trace formats, written from their definitions with BigInt and strings: they share
 * nothing with the code under test, so that a round trip through them is a check of both
 * directions.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** An access, or a tick where `kind` is 3 and `vpn` means nothing. */
export interface Rec {
  readonly vpn: number;
  readonly kind: number;
}

export function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

export interface HeaderFields {
  readonly magic?: string;
  readonly version?: number;
  readonly shift?: number;
  readonly flags?: number;
  readonly records?: bigint;
}

export function ftrcFile(payload: readonly number[], fields: HeaderFields = {}): Buffer {
  const header = Buffer.alloc(16);
  header.write(fields.magic ?? 'FTRC', 'latin1');
  header[4] = fields.version ?? 1;
  header[5] = fields.shift ?? 12;
  header.writeUInt16LE(fields.flags ?? 0, 6);
  const terminators = payload.filter((byte) => byte < 128).length;
  header.writeBigUInt64LE(fields.records ?? BigInt(terminators), 8);
  return Buffer.concat([header, Buffer.from(payload)]);
}

export function ftrcPayload(records: readonly Rec[]): number[] {
  const bytes: number[] = [];
  let last = 0n;
  for (const { vpn, kind } of records) {
    if (kind === 3) {
      bytes.push(3);
      continue;
    }
    const delta = BigInt(vpn) - last;
    last = BigInt(vpn);
    const zigzag = delta >= 0n ? delta << 1n : (-delta << 1n) - 1n;
    bytes.push(...varint((zigzag << 2n) | BigInt(kind)));
  }
  return bytes;
}

export function csvFile(records: readonly Rec[]): Buffer {
  const lines = records.map(({ vpn, kind }) => `${vpn},${'rwi'[kind]}`);
  return Buffer.from(['vpn,kind', ...lines, ''].join('\n'));
}

/** Lackey text with one-byte accesses in the middle of the page. */
export function lackeyFile(records: readonly Rec[]): Buffer {
  const heads = [' L ', ' S ', 'I  '];
  const lines = records.map(
    ({ vpn, kind }) => `${heads[kind]}${((BigInt(vpn) << 12n) + 2048n).toString(16)},1`,
  );
  return Buffer.from(`==77== Lackey\n${lines.join('\n')}\n==77== \n`);
}

export function oracleFile(records: readonly Rec[]): Buffer {
  const bytes = Buffer.alloc(records.length * 24);
  for (const [i, { vpn }] of records.entries()) {
    const next = records.findIndex((other, at) => at > i && other.vpn === vpn);
    bytes.writeUInt32LE(i, i * 24);
    bytes.writeBigUInt64LE(BigInt(vpn), i * 24 + 4);
    bytes.writeUInt32LE(4096, i * 24 + 12);
    bytes.writeBigInt64LE(BigInt(next), i * 24 + 16);
  }
  return bytes;
}

/** A directory for one test file; `put` writes a file into it, `done` removes it all. */
export class Scratch {
  readonly dir = mkdtempSync(join(tmpdir(), 'kreclaim-trace-'));

  path(name: string): string {
    return join(this.dir, name);
  }

  put(name: string, bytes: Buffer | string): string {
    const data = name.endsWith('.gz') ? gzipSync(bytes) : bytes;
    writeFileSync(this.path(name), data);
    return this.path(name);
  }

  done(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
