// SPDX-License-Identifier: GPL-2.0-only
/** Files of workload kernbench: what they are called, how large they are, and what is in them. */
import { join } from 'node:path';
import { Prng } from '../../shared/prng.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import type { BlockFile } from './host_blocks.ts';

/** What all processes of a build know. */
export interface BuildShape {
  readonly seed: number;
  /** Folder of the host. */
  readonly dir: string;
  readonly units: number;
  /** Mean pages of a source. */
  readonly sourcePages: number;
  readonly compilerPages: number;
  /** Pages of the compiler's that every process stores to. */
  readonly dataPages: number;
  readonly headers: number;
  readonly headerPages: number;
}

/** An object file has so many pages for each of its source's. */
export const OBJECT_FACTOR = 2;
/** Numbers of files, as their blocks have them. */
const FILE_COMPILER = 1;
const FILE_PROGRAM = 2;
const FILE_HEADERS = 16;

/** A file without the folder. */
export type BuildFile = Omit<BlockFile, 'path'> & { readonly name: string };

const pages = (name: string, file: number, blocks: number): BuildFile => {
  return { name, file, blocks, blockBytes: PAGE_SIZE };
};

/** The compiler: its text, and then its data. */
export function compilerFile(shape: BuildShape): BuildFile {
  return pages('cc', FILE_COMPILER, shape.compilerPages + shape.dataPages);
}

export function headerFile(shape: BuildShape, header: number): BuildFile {
  return pages(`h${header}.h`, FILE_HEADERS + header, shape.headerPages);
}

/** One of 1 to twice the mean. */
export function sourceFile(shape: BuildShape, unit: number): BuildFile {
  const most = Math.max(1, 2 * shape.sourcePages - 1);
  const blocks = 1 + new Prng(shape.seed, unit).below(most);
  return pages(`u${unit}.c`, FILE_HEADERS + shape.headers + 2 * unit, blocks);
}

export function objectFile(shape: BuildShape, unit: number): BuildFile {
  const { blocks } = sourceFile(shape, unit);
  const file = FILE_HEADERS + shape.headers + 2 * unit + 1;
  return pages(`u${unit}.o`, file, OBJECT_FACTOR * blocks);
}

/** What is linked: a page for each unit. */
export function programFile(shape: BuildShape): BuildFile {
  return pages('program', FILE_PROGRAM, shape.units);
}

/** @returns the file as the host has it */
export function onHost(shape: BuildShape, file: BuildFile): BlockFile {
  return { ...file, path: join(shape.dir, file.name) };
}
