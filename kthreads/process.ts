// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program sees: its address space, and accesses to it.
 *
 * A program is a synchronous function `(process, args) => result | undefined`. Bulk replay goes
 * through `replay`, which is a plain loop over event words; `load` and `store` are for programs
 * that decide as they go.
 */
import { scheduleTimeout } from '../shared/sched.ts';
import { LINE_WORDS } from '../shared/types.ts';
import { fatalSignalPending } from '../src/mm/fatal_signal.ts';
import type { Mm } from '../src/mm/mm.ts';
import { mmapAnon } from '../src/mm/mmap.ts';
import { readMachineFile, writeMachineFile } from '../src/mm/proc_access.ts';
import { swapoff, swapon } from '../src/mm/swapoff.ts';
import {
  KIND_READ,
  KIND_WRITE,
  RUN_DONE,
  RUN_KILLED,
  RUN_STOPPED,
  UserContext,
} from '../src/mm/user.ts';
import { waitAtBarrier } from './gate.ts';
import { ProcessCgroups } from './process_cgroups.ts';
import { ProcessFiles } from './process_files.ts';
import { ProcessMemory } from './process_memory.ts';
import { ProcessNodes } from './process_nodes.ts';
import { ProcessPages } from './process_pages.ts';
import { ProcessShrinkers } from './process_shrinkers.ts';
import { mapVmas } from './process_vmas.ts';

/**
 * What a program sees of the machine: its memory, and accesses to it. One per CPU that runs it.
 * @context the CPU's own thread
 */
export class Process {
  /** Shrinkers of the configuration's types. */
  readonly shrinkers: ProcessShrinkers;
  /** Accesses made so far, one context per set of regions: verified when the program has ended. */
  readonly contexts: UserContext[] = [];
  /** Its address space as a whole. */
  readonly memory: ProcessMemory;
  /** Memory groups. */
  readonly cgroups: ProcessCgroups;
  /** Mounts and files. */
  readonly files: ProcessFiles;
  /** Pages of files. */
  readonly pages: ProcessPages;
  /** Nodes: taking their memory away, and giving it back. */
  readonly nodes: ProcessNodes;

  readonly #m: Mm;
  readonly #mm: number;
  readonly #shouldStop: () => boolean;
  readonly #one = new Uint32Array(1);
  /** Contexts by the table of regions that `replay` was given. */
  readonly #replays = new Map<Float64Array, UserContext>();
  /** Context of each region of 512 pages that was touched. */
  readonly #owner = new Map<number, UserContext>();

  constructor(m: Mm, mm: number, shouldStop: () => boolean) {
    this.shrinkers = new ProcessShrinkers(m);
    this.files = new ProcessFiles(m, mm);
    this.nodes = new ProcessNodes(m);
    this.#m = m;
    this.#mm = mm;
    this.cgroups = new ProcessCgroups(m, mm);
    this.#shouldStop = shouldStop;
    const contextOf = (vpn: number): UserContext => this.#contextOf(vpn);
    this.memory = new ProcessMemory(m, mm, this.contexts, contextOf, shouldStop);
    this.pages = new ProcessPages(m, this.files, shouldStop);
  }

  get comm(): string {
    return this.#config.comm;
  }

  /** Position of this CPU among those that run the process, 0 first. */
  get cpuIndex(): number {
    return this.#config.cpus.indexOf(this.#m.task.cpu);
  }

  /** The simulated CPU that this is. */
  get cpu(): number {
    return this.#m.task.cpu;
  }

  get isFirstCpu(): boolean {
    return this.cpuIndex === 0;
  }

  /** CPUs that run this process. */
  get cpus(): number {
    return this.#config.cpus.length;
  }

  get #config() {
    return this.#m.config.processes[this.#mm - 1] as Mm['config']['processes'][number];
  }

  /** Maps the VMAs of the configuration. @throws Error when their file cannot be opened */
  mapAll(): void {
    mapVmas(this.#m, this.#mm, this.isFirstCpu, this.files.host);
  }

  /**
   * Maps anonymous memory.
   * @param start first virtual page number @param pages length, at least 1
   * @returns false when it overlaps a mapping
   */
  mmap(start: number, pages: number): boolean {
    return mmapAnon(this.#m, this.#mm, start, start + pages) !== 0;
  }

  /**
   * Replays events `from`, `from + stride`, ... of a trace. May be called again with the same
   * `regions`; a page belongs to the table of regions that it was first touched through.
   * @param events words of (slot << 2 | kind) @param regions first vpn of each region
   * @returns RUN_*: done, killed by the OOM killer, touched unmapped memory, or stopped
   */
  replay(events: Uint32Array, regions: Float64Array, from = 0, stride = 1): number {
    const user = this.#replays.get(regions) ?? this.#claim(regions);
    this.#replays.set(regions, user);
    return user.run(events, from, events.length, stride, (done) => this.#report(done));
  }

  /**
   * Reads one page: checks that it holds what this CPU stored last. @param vpn a mapped page
   * @returns RUN_*
   */
  load(vpn: number): number {
    return this.#access(vpn, KIND_READ);
  }

  /** Stores to one page. @param vpn a mapped page @returns RUN_* */
  store(vpn: number): number {
    return this.#access(vpn, KIND_WRITE);
  }

  /**
   * Waits until all CPUs whose programs run, of whatever process, have come here as often as this
   * one: a program that ends is not waited for.
   * @returns RUN_*: done, killed by the OOM killer, or stopped, in which case nobody waits for it
   */
  barrier(): number {
    if (waitAtBarrier(this.#m, () => this.ended !== RUN_DONE)) return RUN_DONE;
    return this.ended;
  }

  /** The program sleeps, and its CPU idles. @param ms above 0 @returns RUN_* */
  sleep(ms: number): number {
    scheduleTimeout(ms);
    return this.ended;
  }

  /**
   * Reads a file of the machine, such as /proc/vmstat or a shrinker's count in
   * /sys/kernel/debug/shrinker; that folder itself reads as the names of those in it, a line each.
   * @returns its text, or -ENOENT (-2), -EPERM (-1) for one that can only be written
   */
  readFile(path: string): string | number {
    return readMachineFile(this.#m, path);
  }

  /**
   * Writes to a file of the machine: /proc/sys/vm/drop_caches (1 page cache, which has nothing to
   * drop, 2 slab, 3 both), a shrinker's scan, a group's memory.max.
   * @returns 0, or -ENOENT (-2), -EPERM (-1) for one that can only be read, -EINVAL (-22)
   */
  writeFile(path: string, text: string): number {
    return writeMachineFile(this.#m, path, text);
  }

  /**
   * Takes a swap device away: its pages come back to memory, or go to other devices.
   * @param name as in /proc/swaps: /dev/zram0, or the path of a file (/swapfile if temporary)
   * @returns 0; -EINVAL (-22) for no device that is on, -EBUSY (-16), -ENOMEM (-12), -EINTR (-4),
   *   -EIO (-5): then it is on as before
   */
  swapoff(name: string): number {
    return swapoff(this.#m, name, this.#shouldStop);
  }

  /** Brings a swap device back. @returns 0; -EINVAL (-22), -EBUSY (-16) when it is on */
  swapon(name: string): number {
    return swapon(this.#m, name);
  }

  /** RUN_*: done while the program may go on; else it is to return this. */
  get ended(): number {
    if (fatalSignalPending(this.#m)) return RUN_KILLED;
    return this.#shouldStop() ? RUN_STOPPED : RUN_DONE;
  }

  #access(vpn: number, kind: number): number {
    const user = this.#contextOf(vpn);
    this.#one[0] = (user.slotOf(vpn) << 2) | kind;
    const result = user.run(this.#one, 0, 1, 1, (done) => this.#report(done));
    return result === RUN_DONE && this.#shouldStop() ? RUN_STOPPED : result;
  }

  #contextOf(vpn: number): UserContext {
    const region = Math.floor(vpn / 512);
    return this.#owner.get(region) ?? this.#claim(Float64Array.of(region * 512));
  }

  /**
   * Makes a context for regions that nobody has: what a CPU stored last in a page is known in one
   * place only.
   * @throws Error when a page of them was touched through another table of regions
   */
  #claim(regions: Float64Array): UserContext {
    for (const first of regions) {
      if (!this.#owner.has(first / 512)) continue;
      throw new Error(`region of vpn ${first} is in use already: pass the same table of regions`);
    }
    const user = new UserContext(this.#m, this.#mm, regions);
    user.shouldStop = this.#shouldStop;
    for (const first of regions) this.#owner.set(first / 512, user);
    this.contexts.push(user);
    return user;
  }

  #report(done: number): void {
    this.#m.cpuEvents[this.#m.task.cpu * LINE_WORDS] = done;
  }
}
