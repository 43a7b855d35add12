// SPDX-License-Identifier: GPL-2.0-only
/**
 * The program of scenario memcg-tmpfs: one process on each CPU, each with its share of the groups,
 * mounts and files. Group i belongs to the CPU i modulo their number, and so do mount i and file i.
 */
import type { Process } from '../../kthreads/process.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { addFigure, type Figures } from './figures.ts';

export interface MemcgTmpfsArgs {
  readonly memcgs: number;
  readonly mounts: number;
  /** Mounts with a file: the first so many. */
  readonly touch: number;
  readonly filePages: number;
  /** The mounts and groups are left to the machine. */
  readonly leave: boolean;
  readonly figures: Figures;
  /** This CPU's place among the program's. */
  readonly first: number;
  readonly stride: number;
}

/** The file of each mount. */
const FILE_NAME = 1;

/** One CPU's share of the run. */
class Share {
  readonly #process: Process;
  readonly #args: MemcgTmpfsArgs;
  /** The limited group: where the program began. */
  readonly #home: number;
  /** Groups and mounts of this CPU, by number; 0 or less where there is none. */
  readonly #groups: number[] = [];
  readonly #mounts: number[] = [];

  constructor(process: Process, args: MemcgTmpfsArgs) {
    this.#process = process;
    this.#args = args;
    this.#home = process.cgroups.current;
  }

  /** @returns RUN_*; what was made is left as it is when the program is told to stop */
  run(): number {
    const { memcgs, mounts, touch, leave } = this.#args;
    const made =
      this.#each('groups', memcgs, (i) => this.#makeGroup(i)) ||
      this.#each('mounts', mounts, (i) => this.#makeMount(i)) ||
      this.#process.barrier() ||
      this.#each('pages', touch, (i) => this.#writeFile(i)) ||
      this.#process.barrier();
    if (made !== 0 || leave) return made;
    return (
      this.#each('umounts', mounts, (i) => this.#unmount(i)) ||
      this.#each('rmdirs', memcgs, (i) => this.#removeGroup(i))
    );
  }

  /**
   * Does one step for everything of this CPU, and counts.
   * @param step how much it did, or minus a RUN_* to end with
   */
  #each(figure: string, total: number, step: (i: number) => number): number {
    const { first, stride } = this.#args;
    for (let i = first; i < total; i += stride) {
      const began = ktimeNs();
      const done = step(i);
      this.#count(`${figure}Ns`, ktimeNs() - began);
      if (done < 0) return -done;
      this.#count(figure, done);
      if (this.#process.ended !== 0) return this.#process.ended;
    }
    return 0;
  }

  #count(figure: string, amount: number): void {
    addFigure(this.#args.figures, this.#args.first, figure, amount);
  }

  /** A call that has no room or memory: counted, and done without. @returns 1 or 0, for it */
  #accept(result: number): number {
    if (result >= 0) return 1;
    this.#count('refused', 1);
    return 0;
  }

  #makeGroup(i: number): number {
    this.#groups[i] = this.#process.cgroups.mkdir(this.#home, String(i));
    return this.#accept(this.#groups[i] as number);
  }

  #makeMount(i: number): number {
    this.#mounts[i] = this.#process.files.mount('tmpfs', String(i));
    return this.#accept(this.#mounts[i] as number);
  }

  /** Writes the file of mount i from within its group. @returns pages written, or minus RUN_* */
  #writeFile(i: number): number {
    const { files, cgroups, pages } = this.#process;
    const { filePages, memcgs } = this.#args;
    const [mount = -1, group = -1] = [this.#mounts[i], this.#groups[i % memcgs]];
    if (mount <= 0) return 0;
    if (group > 0) cgroups.attach(group);
    const file = files.open(mount, FILE_NAME, true);
    if (this.#accept(file) === 0) return 0;
    let written = 0;
    let result = 0;
    while (written < filePages && result === 0) {
      result = pages.write(file, written);
      if (result === 0) written++;
    }
    files.close(file);
    this.#count('files', 1);
    if (result > 0) return -result;
    if (result < 0) this.#accept(result);
    return written;
  }

  #unmount(i: number): number {
    const mount = this.#mounts[i] ?? -1;
    return mount <= 0 ? 0 : this.#accept(this.#process.files.umount(mount));
  }

  #removeGroup(i: number): number {
    const { cgroups } = this.#process;
    if (cgroups.current !== this.#home) cgroups.attach(this.#home);
    const group = this.#groups[i] ?? -1;
    return group <= 0 ? 0 : this.#accept(cgroups.rmdir(group));
  }
}

/** @returns RUN_* @context a simulated CPU */
export function memcgTmpfs(process: Process, args: MemcgTmpfsArgs): number {
  return new Share(process, args).run();
}
