// SPDX-License-Identifier: MIT
/** Placeholder until the RCU module arrives: a thread that is not registered is always quiescent. */

/** Declares an extended quiescent state. No-op for a thread that is not registered. */
export function rcuOffline(): void {}

/** Ends an extended quiescent state. */
export function rcuOnline(): void {}

/** @returns true inside a read-side section of this thread */
export function rcuReadHeld(): boolean {
  return false;
}
