// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program may do with mounts and files: `process.files`. Failures are negative numbers with
 * Linux's names (src/mm/errno.ts). What is left open is closed when the program has ended.
 */
import { DISKFS, TMPFS } from '../src/mm/fs_types.ts';
import type { Mm } from '../src/mm/mm.ts';
import { closeFile, lookup, openFile, unlink } from '../src/mm/namei.ts';
import { mount, umount } from '../src/mm/super.ts';
import { ProcessHostFiles } from './process_host_files.ts';

/** Kinds of mounts by name. */
const FS_TYPES = { tmpfs: TMPFS, diskfs: DISKFS } as const;

/**
 * Files of one CPU's program.
 * @context the CPU's own thread
 */
export class ProcessFiles {
  readonly #m: Mm;
  /** How often each file is open here. */
  readonly #open = new Map<number, number>();

  /** Files of the host. */
  readonly host: ProcessHostFiles;

  constructor(m: Mm, mm: number) {
    this.#m = m;
    this.host = new ProcessHostFiles(m, mm);
  }

  /**
   * Makes a mount, charged to the program's group. Every program of the machine may use it.
   * @param name for the name of its shrinker
   * @returns the mount, or ENOSPC, ENOMEM; EBUSY when programs use files that were never opened
   */
  mount(type: keyof typeof FS_TYPES, name: string): number {
    return mount(this.#m, FS_TYPES[type], name);
  }

  /** Takes a mount away. @returns 0, EBUSY while files are open, ENODEV when it is not mounted */
  umount(sb: number): number {
    return umount(this.#m, sb);
  }

  /**
   * Opens a file.
   * @param name 1 .. 2^31-1 @param mayCreate make it if there is none
   * @returns the file, or ENOENT, ENOMEM, ENODEV, EINVAL
   */
  open(sb: number, name: number, mayCreate = false): number {
    const inode = openFile(this.#m, sb, name, mayCreate);
    if (inode > 0) this.#open.set(inode, (this.#open.get(inode) ?? 0) + 1);
    return inode;
  }

  /** Closes a file. @throws Error when this CPU's program does not have it open */
  close(file: number): void {
    const times = this.#open.get(file) ?? 0;
    if (times === 0) throw new Error(`file ${file} is not open`);
    if (times === 1) this.#open.delete(file);
    else this.#open.set(file, times - 1);
    closeFile(this.#m, file);
  }

  /** Does this CPU's program have a file open? Then its inode stays what it is. */
  isOpen(file: number): boolean {
    return this.#open.has(file);
  }

  /** Removes a name. @returns 0, or ENOENT, EPERM on a disk, ENOMEM, ENODEV, EINVAL */
  unlink(sb: number, name: number): number {
    return unlink(this.#m, sb, name);
  }

  /** Looks a name up. @returns 1 when there is a file, 0 when not, ENOMEM, ENODEV, EINVAL */
  lookup(sb: number, name: number): number {
    return lookup(this.#m, sb, name);
  }

  /** Closes all that is open. @context the program has ended */
  closeAll(): void {
    this.host.closeAll();
    for (const [file, times] of this.#open) {
      for (let i = 0; i < times; i++) closeFile(this.#m, file);
    }
    this.#open.clear();
  }
}
