// SPDX-License-Identifier: MIT
/**
 * Lock classes and the words of lock reports. A class is a small integer that stands for all locks
 * of one kind of object; its name is data, given at attach. Class 0 is 'unclassed'.
 */
import { BugError } from './assert.ts';
import { OWNER_MASK } from './limits.ts';
import { getComm, self, threadAlive } from './thread.ts';
import type { I32 } from './types.ts';

const UNCLASSED: readonly string[] = ['unclassed'];
let names = UNCLASSED;

/** @context once per worker, at attach. `null` puts the default back. */
export function setLockClasses(classes: readonly string[] | null): void {
  names = classes ?? UNCLASSED;
}

/** @returns the class's name, or `class N` where the domain has none for it */
export function lockClassName(cls: number): string {
  return names[cls] ?? `class ${cls}`;
}

/** @returns `comm/id` in a machine, `thread id` outside one, `nobody` for 0 */
export function threadLabel(id: number): string {
  if (id === 0) return 'nobody';
  const comm = self.table === null ? '' : getComm(self.table, id);
  return comm === '' ? `thread ${id}` : `${comm}/${id}`;
}

/** Throws the error that names an unlock by a thread that does not own the lock. */
export function unlockMisuse(cls: number, owner: number): never {
  const name = lockClassName(cls);
  const me = threadLabel(self.id);
  if (owner === 0) throw new BugError(`unlock of ${name} by ${me}: it is free (unlocked twice?)`);
  throw new BugError(`unlock of ${name} by ${me}: it is held by ${threadLabel(owner)}`);
}

/** Throws the error that names a thread which waits for itself. */
export function selfDeadlock(cls: number): never {
  throw new BugError(`${threadLabel(self.id)} locks ${lockClassName(cls)} that it already holds`);
}

/** Throws the error that names a holder which will never release. */
export function deadHolderBug(cls: number, owner: number): never {
  throw new BugError(
    `lock ${lockClassName(cls)} held by dead thread ${threadLabel(owner)}, ` +
      `waited for by ${threadLabel(self.id)}`,
  );
}

/**
 * Throws when the owner that a lock word names is gone. The word is read again once its thread is
 * known to be gone: a thread that unlocked and then ended is no dead holder.
 * @param index a word with its owner's id in the low bits
 * @context a waiter, after PARK_CHECK_MS
 */
export function checkOwnerAlive(words: I32, index: number, cls: number): void {
  const owner = Atomics.load(words, index) & OWNER_MASK;
  if (owner === 0 || threadAlive(owner)) return;
  if ((Atomics.load(words, index) & OWNER_MASK) === owner) deadHolderBug(cls, owner);
}
