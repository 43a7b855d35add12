// SPDX-License-Identifier: GPL-2.0-only
/** What a program may do with the machine's nodes. */
import { nodeOnline, offlineNode, offlineNote, onlineNode } from '../src/mm/memory_hotplug.ts';
import type { Mm } from '../src/mm/mm.ts';

/** One per CPU that runs a process. @context the CPU's own thread */
export class ProcessNodes {
  readonly #m: Mm;

  constructor(m: Mm) {
    this.#m = m;
  }

  /** Nodes of the machine, whether they have memory now or not. */
  get count(): number {
    return this.#m.sizes.nrNodes;
  }

  /** What kept a node from going offline, at this CPU's last try; '' when nothing did. */
  get note(): string {
    return offlineNote.text;
  }

  /** @returns whether the node has memory at this moment */
  online(nid: number): boolean {
    return nid >= 0 && nid < this.count && nodeOnline(this.#m, nid);
  }

  /** Moves everything off a node. @returns 0, -EINVAL, -EBUSY, -ENOMEM, -EINTR: see `note` */
  offline(nid: number): number {
    return offlineNode(this.#m, nid);
  }

  /** Gives a node its memory back. @returns 0, -EINVAL, -EBUSY */
  bringOnline(nid: number): number {
    return onlineNode(this.#m, nid);
  }
}
