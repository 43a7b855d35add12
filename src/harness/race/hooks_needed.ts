// SPDX-License-Identifier: MIT
/** Whether a thread has to install module hooks at all: known before anything of them is loaded. */

/** @returns true where this Node blanks out types by itself */
export function stripsTypes(): boolean {
  return Boolean((process as { features?: { typescript?: unknown } }).features?.typescript);
}

/** @returns true when a scenario at this URL cannot be loaded, or looked into, without hooks */
export function needsHooks(url: string, { race }: { readonly race: boolean }): boolean {
  return race || (!stripsTypes() && /\.[mc]?ts(?:$|[?#])/.test(url));
}
