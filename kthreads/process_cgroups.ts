// SPDX-License-Identifier: GPL-2.0-only
/** What a program sees of memory groups: it makes and removes them, and moves its process. */
import { cgroupAttach, cgroupMkdir, cgroupRmdir } from '../src/mm/cgroup.ts';
import { ENOENT } from '../src/mm/errno.ts';
import { memcgRefresh } from '../src/mm/memcg_task.ts';
import type { Mm } from '../src/mm/mm.ts';

/**
 * Memory groups, for a program. Groups are numbers, 0 the root; failures are negative and named as
 * Linux's (src/mm/errno.ts).
 * @context the CPU's own thread; every call may block
 */
export class ProcessCgroups {
  readonly #m: Mm;
  readonly #mm: number;

  constructor(m: Mm, mm: number) {
    this.#m = m;
    this.#mm = mm;
  }

  /** The group that this process is in now. Another CPU of the process may move it. */
  get current(): number {
    return Atomics.load(this.#m.mm.memcg, this.#mm);
  }

  /** @returns a group of the machine's configuration by its name, or ENOENT (-2) */
  named(name: string): number {
    const memcg = this.#m.config.memcgs.findIndex((group) => group.name === name);
    return memcg < 0 ? ENOENT : memcg;
  }

  /**
   * Makes a group below `parent`.
   * @param name 1 to 31 printable ASCII characters, no slash, unique below the parent
   * @param maxPages limit in pages, -1 for none
   * @returns its number; -ENODEV (-19) when the parent is gone, -EEXIST (-17), -EINVAL (-22),
   *   -ENOSPC (-28) when the machine has no row left (`memcgsMax`), -ENOMEM (-12)
   */
  mkdir(parent: number, name: string, maxPages = -1): number {
    return cgroupMkdir(this.#m, parent, name, maxPages);
  }

  /**
   * Removes a group. Its pages stay charged to it until they are reclaimed or freed.
   * @returns 0; -EBUSY (-16) with processes or children, -ENODEV (-19) when it is gone already,
   *   -EINVAL (-22) for the root, -EPERM (-1) when the machine's groups are fixed
   */
  rmdir(memcg: number): number {
    return cgroupRmdir(this.#m, memcg);
  }

  /**
   * Moves this process, all its CPUs, to a group: what it touches first from now on is charged
   * there. Its other CPUs follow at their next fault, and keep the old group's row until then.
   * @returns 0, -ENODEV (-19) when the group is gone, -EINVAL (-22)
   */
  attach(memcg: number): number {
    const error = cgroupAttach(this.#m, this.#mm, memcg);
    if (error === 0) memcgRefresh(this.#m, this.#mm);
    return error;
  }
}
