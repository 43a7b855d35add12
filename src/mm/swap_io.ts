// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap files on the host's disk: opening, reading, writing (mm/page_io.c, swap_readpage_fs and its
 * like). The only module of the engine that touches a file of the host.
 *
 * The main thread opens a file at boot; its descriptor is a number that every thread of the process
 * may use. Reads and writes name their place, so that threads share no position, and are
 * synchronous: the caller stands still meanwhile, holding no spinlock.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';

/** At the end of the header's page, as mkswap writes it. */
const SIGNATURE = 'SWAPSPACE2';
const SIGNATURE_AT = PAGE_SIZE - SIGNATURE.length;

/** A file of the host that cannot be a swap device. */
export class SwapFileError extends Error {
  override name = 'SwapFileError';
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** A file without a name: it is gone when the last descriptor of it is. */
function openTemporary(): number {
  const folder = mkdtempSync(join(tmpdir(), 'kreclaim-swap-'));
  try {
    return openSync(join(folder, 'swapfile'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Opens a file that exists, or makes it. */
function openNamed(path: string): number {
  try {
    return openSync(path, 'wx+', 0o600);
  } catch (error) {
    if (reasonOf(error) !== 'EEXIST') throw error;
    return openSync(path, 'r+');
  }
}

/** Nobody's data is overwritten: a file must be new, empty, or have been swap before. */
function isSwapFile(fd: number): boolean {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return false;
  if (stat.size === 0) return true;
  const found = Buffer.alloc(SIGNATURE.length);
  readSync(fd, found, 0, found.length, SIGNATURE_AT);
  return found.toString('latin1') === SIGNATURE;
}

/**
 * Opens a device's file, sets its size and writes its header (mkswap, swapon).
 * @param path null for a temporary file, which has no name any more when this returns
 * @returns its descriptor
 * @throws SwapFileError, one line
 * @context boot, the main thread
 */
export function swapFileOpen(m: Mm, device: number, path: string | null): number {
  const name = path ?? join(tmpdir(), 'kreclaim-swap-*');
  let fd = -1;
  try {
    fd = path === null ? openTemporary() : openNamed(path);
    const bytes = ((m.swapDevice.pages[device] as number) + 1) * PAGE_SIZE;
    const ours = isSwapFile(fd);
    if (ours) {
      ftruncateSync(fd, bytes);
      writeSync(fd, Buffer.from(SIGNATURE, 'latin1'), 0, SIGNATURE.length, SIGNATURE_AT);
      return fd;
    }
  } catch (error) {
    if (fd >= 0) closeSync(fd);
    throw new SwapFileError(`swapFile: '${name}' cannot be opened: ${reasonOf(error)}`);
  }
  closeSync(fd);
  throw new SwapFileError(`swapFile: '${name}' is there and is no swap file; give another path`);
}

/** Closes every device's file. @context the main thread; no other thread of the machine is left */
export function swapFilesClose(m: Mm): void {
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    const fd = m.swapDevice.fd[device] as number;
    m.swapDevice.fd[device] = -1;
    if (fd > 0) closeSync(fd);
  }
}

function placeOf(m: Mm, device: number, slot: number): number {
  return (slot - (m.swapDevice.base[device] as number)) * PAGE_SIZE;
}

/**
 * Writes a page to its place in a device's file.
 * @param page PAGE_SIZE bytes that nobody changes meanwhile
 * @returns false when the host could not take all of it
 * @context the slot's folio is locked; may block; no spinlock held
 */
export function swapFileWrite(m: Mm, device: number, slot: number, page: Uint8Array): boolean {
  try {
    const fd = m.swapDevice.fd[device] as number;
    return writeSync(fd, page, 0, PAGE_SIZE, placeOf(m, device, slot)) === PAGE_SIZE;
  } catch {
    return false;
  }
}

/**
 * Reads a page from its place in a device's file.
 * @param page PAGE_SIZE bytes that nobody else reads yet
 * @returns false when the host could not give all of it
 * @context as swapFileWrite
 */
export function swapFileRead(m: Mm, device: number, slot: number, page: Uint8Array): boolean {
  try {
    const fd = m.swapDevice.fd[device] as number;
    return readSync(fd, page, 0, PAGE_SIZE, placeOf(m, device, slot)) === PAGE_SIZE;
  } catch {
    return false;
  }
}
