// SPDX-License-Identifier: GPL-2.0-only
/**
 * The VMAs of a process's configuration, mapped before its program starts.
 *
 * Anonymous ones are mapped by whichever of its CPUs comes first; those of its file by its first
 * CPU alone, which mounts the directory and opens the file once. The mappings keep both.
 */
import { bug } from '../shared/assert.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import type { ProcessFile, VmaFile } from '../src/mm/config.ts';
import type { Mm } from '../src/mm/mm.ts';
import { mmapAnon } from '../src/mm/mmap.ts';
import { waitAtGate } from './gate.ts';
import type { ProcessHostFiles } from './process_host_files.ts';

/** Values of `mm.mapped`. */
const MAPPED = 1;
const MAP_FAILED = 2;
/** Calls that fail, by injected faults or for want of memory, are tried again so often. */
const TRIES = 100;

/** Tries until it succeeds. @returns the last result, negative if none did */
function retry(call: () => number): number {
  let result = -1;
  for (let tries = 0; result < 0 && tries < TRIES; tries++) result = call();
  return result;
}

/** @returns a descriptor of the process's file, or an errno */
function openFile(host: ProcessHostFiles, file: ProcessFile): number {
  const sb = retry(() => host.mount(file.dir, file.name));
  return sb < 0 ? sb : retry(() => host.open(sb, file.name));
}

function mapFile(
  host: ProcessHostFiles,
  fd: number,
  start: number,
  end: number,
  { pgoff, shared, write, exec }: VmaFile,
): void {
  const how = { pgoff, private: !shared, write, exec };
  if (!host.mmap(fd, start, end - start, how)) bug(`no VMA for pages ${start}..${end} of a file`);
}

/**
 * Maps the VMAs of a process.
 * @param first this is the first of its CPUs @param host its files
 * @throws Error when its file cannot be opened
 * @context a simulated CPU of the process; may block
 */
export function mapVmas(m: Mm, mm: number, first: boolean, host: ProcessHostFiles): void {
  const config = m.config.processes[mm - 1];
  if (config === undefined) return;
  const { vmas, file } = config;
  for (const vma of vmas) if (vma.file === undefined) mmapAnon(m, mm, vma.start, vma.end);
  // Configurations made by hand may say nothing of it.
  if (file === null || file === undefined) return;
  const { mapped } = m.mm;
  if (!first) {
    waitAtGate(m, () => Atomics.load(mapped, mm) !== 0);
    if (Atomics.load(mapped, mm) === MAP_FAILED) bug(`${config.comm}: its file is not mapped`);
    return;
  }
  const fd = openFile(host, file);
  if (fd >= 0) {
    for (const { start, end, file: how } of vmas) if (how) mapFile(host, fd, start, end, how);
    host.close(fd);
  }
  Atomics.store(mapped, mm, fd < 0 ? MAP_FAILED : MAPPED);
  wakeUp(m.gateWait, 0, WAKE_ALL);
  if (fd < 0) throw new Error(`${config.comm}: ${file.dir}/${file.name} cannot be opened (${fd})`);
}
