// SPDX-License-Identifier: MIT
/** Bounds of the substrate, with the relations between them checked at import. */
import { assert } from './assert.ts';
import { scheduleHook } from './schedule_hook.ts';

/** Threads that one sync domain can hold, the id 0 ("nobody") included. */
export const THREADS_MAX = 128;
/** Bits of a lock word that hold the owner's thread id. */
export const OWNER_BITS = 16;
export const OWNER_MASK = (1 << OWNER_BITS) - 1;
/** Lock classes of one domain, class 0 ("unclassed") included. */
export const LOCK_CLASSES_MAX = 64;
/** Locks that one thread may hold at once while lock-order checking is on. */
export const HELD_LOCKS_MAX = 48;
/**
 * Loads of a watched word before a spinner parks. About 3 to 5 us: one futex round trip. Under the
 * deterministic scheduler, where spinning cannot help, a spinner parks nearly at once.
 */
export const SPIN_LIMIT = scheduleHook() === null ? 120 : 2;
/** A parked lock waiter wakes this often to see whether the holder's thread died, in ms. */
export const PARK_CHECK_MS = 100;

assert(THREADS_MAX <= OWNER_MASK, 'thread ids fit in the owner field of a lock word');
/** Acquisitions that may pass the sleeping head of a FIFO lock before it is handed over. */
export const PASS_LIMIT = 128;
