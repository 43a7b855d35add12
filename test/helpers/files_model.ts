// SPDX-License-Identifier: GPL-2.0-only
/** A mount in plain objects: what names it has, what is cached, and what a scan takes. */

/** Second chance, and lazy: what is used again stays on its list until a scan meets it there. */
class ModelLru<T extends { listed: boolean; referenced: boolean }> {
  readonly items: T[] = [];

  /** The last reference went. */
  unused(item: T): void {
    if (item.listed) item.referenced = true;
    else {
      item.listed = true;
      this.items.push(item);
    }
  }

  /** @returns items that left the list, and those of them that were unused */
  walk(nr: number, used: (item: T) => boolean): { isolated: number; victims: T[] } {
    const victims: T[] = [];
    let isolated = 0;
    const at = 0;
    for (let left = nr; left > 0 && at < this.items.length; left--) {
      const item = this.items[at] as T;
      if (!used(item) && item.referenced) {
        item.referenced = false;
        // To the tail, where the same walk may meet it again.
        this.items.splice(at, 1);
        this.items.push(item);
        // What was last stays last: the walk's next item was read before the move.
        if (at === this.items.length - 1) break;
        continue;
      }
      this.items.splice(at, 1);
      item.listed = false;
      isolated++;
      if (!used(item)) victims.push(item);
    }
    return { isolated, victims };
  }
}

interface ModelInode {
  readonly ino: number;
  count: number;
  listed: boolean;
  referenced: boolean;
}

interface ModelDentry {
  readonly name: number;
  inode: ModelInode | null;
  pinned: boolean;
  listed: boolean;
  referenced: boolean;
}

export class MountModel {
  readonly disk: boolean;
  readonly dentries = new Map<number, ModelDentry>();
  readonly inodes = new Map<number, ModelInode>();
  readonly dentryLru = new ModelLru<ModelDentry>();
  readonly inodeLru = new ModelLru<ModelInode>();
  /** Inodes that are alive and have no name. */
  orphans = 0;
  open = 0;
  #nextIno = 1;

  constructor(disk: boolean) {
    this.disk = disk;
  }

  get liveInodes(): number {
    return this.inodes.size + this.orphans;
  }

  #iget(ino: number): ModelInode {
    let inode = this.inodes.get(ino);
    if (inode === undefined) {
      inode = { ino, count: 0, listed: false, referenced: false };
      this.inodes.set(ino, inode);
    }
    inode.count++;
    return inode;
  }

  #walk(name: number): ModelDentry {
    let dentry = this.dentries.get(name);
    if (dentry === undefined) {
      const inode = this.disk ? this.#iget(name) : null;
      dentry = { name, inode, pinned: false, listed: false, referenced: false };
      this.dentries.set(name, dentry);
    }
    return dentry;
  }

  #dput(dentry: ModelDentry): void {
    if (!dentry.pinned) this.dentryLru.unused(dentry);
  }

  #iput(inode: ModelInode): void {
    if (--inode.count > 0) return;
    if (this.disk) this.inodeLru.unused(inode);
    else if (!this.inodes.delete(inode.ino)) this.orphans--;
  }

  lookup(name: number): number {
    const dentry = this.#walk(name);
    const found = dentry.inode === null ? 0 : 1;
    this.#dput(dentry);
    return found;
  }

  /** @returns the inode, null where there is no file */
  openFile(name: number, create: boolean): ModelInode | null {
    const dentry = this.#walk(name);
    if (dentry.inode === null && create) {
      dentry.inode = this.#iget(this.#nextIno++);
      dentry.pinned = true;
    }
    if (dentry.inode !== null) {
      dentry.inode.count++;
      this.open++;
    }
    this.#dput(dentry);
    return dentry.inode;
  }

  closeFile(inode: ModelInode): void {
    this.open--;
    this.#iput(inode);
  }

  /** @returns whether there was such a name */
  unlink(name: number): boolean {
    const dentry = this.#walk(name);
    const inode = dentry.inode;
    if (inode !== null) {
      dentry.inode = null;
      dentry.pinned = false;
      this.inodes.delete(inode.ino);
      this.orphans++;
      this.#iput(inode);
    }
    this.#dput(dentry);
    return inode !== null;
  }

  /** A scan of the mount's shrinker. @returns objects that left their lists */
  scan(nr: number): number {
    const dentries = this.dentryLru.items.length;
    const inodes = this.inodeLru.items.length;
    const total = Math.max(dentries + inodes, 1);
    const names = this.dentryLru.walk(Math.floor((nr * dentries) / total) + 1, (d) => d.pinned);
    for (const dentry of names.victims) {
      this.dentries.delete(dentry.name);
      if (dentry.inode !== null) this.#iput(dentry.inode);
    }
    const share = Math.floor((nr * inodes) / total) + 1;
    const files = this.inodeLru.walk(share, (inode) => inode.count > 0);
    for (const inode of files.victims) this.inodes.delete(inode.ino);
    return names.isolated + files.isolated;
  }
}
