// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files of workloads as the host has them: made before the machine mounts their folder, and read
 * back after it has let go of it, past the engine.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { blockSeq, fillBlock } from './file_pattern.ts';

/** Bytes of one call. */
const CHUNK = 1 << 20;

/** A file of blocks. */
export interface BlockFile {
  readonly path: string;
  /** What its blocks say. */
  readonly file: number;
  readonly blockBytes: number;
  readonly blocks: number;
}

/** Visits the file in chunks of whole blocks. */
function* chunks({ blockBytes, blocks }: BlockFile): Generator<readonly [number, number]> {
  const most = Math.max(1, Math.floor(CHUNK / blockBytes));
  for (let first = 0; first < blocks; first += most) yield [first, Math.min(most, blocks - first)];
}

function wordsOf(buffer: Uint8Array, bytes: number, at: number): Int32Array {
  return new Int32Array(buffer.buffer, at * bytes, bytes / 4);
}

/**
 * Makes a file, all of it write 0.
 * @returns a generator that yields now and then @throws what the host does
 */
export function* layOut(to: BlockFile): Generator<void, void, void> {
  const fd = openSync(to.path, 'w');
  const buffer = new Uint8Array(CHUNK + to.blockBytes);
  try {
    for (const [first, count] of chunks(to)) {
      for (let i = 0; i < count; i++) {
        fillBlock(wordsOf(buffer, to.blockBytes, i), to.file, first + i, 0);
      }
      const bytes = count * to.blockBytes;
      for (let done = 0; done < bytes; ) {
        done += writeSync(fd, buffer, done, bytes - done, first * to.blockBytes + done);
      }
      yield;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a file back, past the engine.
 * @param expected the first and the last write that a block may hold
 * @returns what is wrong with the first wrong block, or null; yields now and then
 */
export function* readBack(
  from: BlockFile,
  expected: (block: number) => readonly [number, number],
): Generator<void, string | null, void> {
  const fd = openSync(from.path, 'r');
  const buffer = new Uint8Array(CHUNK + from.blockBytes);
  try {
    for (const [first, count] of chunks(from)) {
      const bytes = count * from.blockBytes;
      const got = readSync(fd, buffer, 0, bytes, first * from.blockBytes);
      if (got !== bytes) return `${from.path}: ${got} bytes of ${bytes} from block ${first} on`;
      for (let i = 0; i < count; i++) {
        const block = first + i;
        const seq = blockSeq(wordsOf(buffer, from.blockBytes, i), from.file, block);
        const [low, high] = expected(block);
        if (seq >= low && seq <= high) continue;
        return `${from.path}: block ${block} holds write ${seq}, not ${low}..${high}`;
      }
      yield;
    }
    return null;
  } finally {
    closeSync(fd);
  }
}
