// SPDX-License-Identifier: GPL-2.0-only
/**
 * Replacement policies simulated exactly over a trace: what reclaim is compared with.
 *
 * All take a number of frames that are filled on demand and count *refaults*: misses beyond the
 * first one of each page. None knows of batches, watermarks or costs.
 *
 * - LRU evicts the page whose last access is the oldest.
 * - FIFO evicts the page that has been in memory the longest.
 * - CLOCK has one reference bit a frame, set by every access, the one that faults included; its
 *   hand clears set bits and evicts the first page whose bit is clear.
 * - MIN (Belady) evicts the page whose next access is the farthest ahead. No policy has fewer
 *   refaults.
 *
 * Cost: O(1) an event for LRU, FIFO and, amortised, CLOCK; O(log n) with base 32 for MIN.
 */
import { assert } from '../../shared/assert.ts';
import type { Trace } from '../workload/trace_builder.ts';
import { REGION_PAGES } from '../workload/trace_builder.ts';

export type OfflinePolicy = 'lru' | 'fifo' | 'clock' | 'min';
export const OFFLINE_POLICIES: readonly OfflinePolicy[] = ['lru', 'fifo', 'clock', 'min'];

/** No page, no frame. */
const NONE = -1;

/** Entries that a table over the trace's slots needs. */
function slotCount(trace: Trace): number {
  return trace.regions.length * REGION_PAGES;
}

/** The table over slots with every entry NONE. */
function slotTable(trace: Trace): Int32Array {
  return new Int32Array(slotCount(trace)).fill(NONE);
}

/** A doubly linked list of slots, the most recent first; `older[head]` leads towards the victim. */
function missesLru(trace: Trace, frames: number): number {
  const { events } = trace;
  const older = new Int32Array(slotCount(trace));
  const newer = new Int32Array(slotCount(trace));
  const resident = new Uint8Array(slotCount(trace));
  let head = NONE;
  let tail = NONE;
  let used = 0;
  let misses = 0;
  for (let i = 0; i < events.length; i++) {
    const slot = events[i]! >>> 2;
    if (slot === head) continue;
    if (resident[slot] === 1) {
      const before = newer[slot]!;
      const after = older[slot]!;
      older[before] = after;
      if (after === NONE) tail = before;
      else newer[after] = before;
    } else {
      misses++;
      resident[slot] = 1;
      if (used < frames) {
        used++;
      } else {
        resident[tail] = 0;
        tail = newer[tail]!;
        if (tail === NONE) head = NONE;
        else older[tail] = NONE;
      }
    }
    newer[slot] = NONE;
    older[slot] = head;
    if (head === NONE) tail = slot;
    else newer[head] = slot;
    head = slot;
  }
  return misses;
}

/** A ring of frames; the hand stands on the one filled longest ago. */
function missesFifo(trace: Trace, frames: number): number {
  const { events } = trace;
  const resident = new Uint8Array(slotCount(trace));
  const ring = new Int32Array(frames).fill(NONE);
  let hand = 0;
  let misses = 0;
  for (let i = 0; i < events.length; i++) {
    const slot = events[i]! >>> 2;
    if (resident[slot] === 1) continue;
    misses++;
    const victim = ring[hand]!;
    if (victim !== NONE) resident[victim] = 0;
    ring[hand] = slot;
    resident[slot] = 1;
    hand = hand + 1 === frames ? 0 : hand + 1;
  }
  return misses;
}

/** FIFO's ring, with a bit a frame that spares it once. */
function missesClock(trace: Trace, frames: number): number {
  const { events } = trace;
  const frameOf = slotTable(trace);
  const ring = new Int32Array(frames).fill(NONE);
  const referenced = new Uint8Array(frames);
  let hand = 0;
  let misses = 0;
  for (let i = 0; i < events.length; i++) {
    const slot = events[i]! >>> 2;
    const frame = frameOf[slot]!;
    if (frame !== NONE) {
      referenced[frame] = 1;
      continue;
    }
    misses++;
    // A frame never filled has a clear bit. At most one turn clears all bits, so this ends.
    while (referenced[hand] === 1) {
      referenced[hand] = 0;
      hand = hand + 1 === frames ? 0 : hand + 1;
    }
    const victim = ring[hand]!;
    if (victim !== NONE) frameOf[victim] = NONE;
    ring[hand] = slot;
    frameOf[slot] = hand;
    referenced[hand] = 1;
    hand = hand + 1 === frames ? 0 : hand + 1;
  }
  return misses;
}

/**
 * A set of integers below a bound, as bitmaps in levels of 32: a bit says that the word below it is
 * not empty. Adding, removing and finding the largest each touch one word a level.
 */
class TimeSet {
  readonly #levels: Uint32Array[] = [];

  constructor(bound: number) {
    let words = bound;
    do {
      words = Math.ceil(words / 32);
      this.#levels.push(new Uint32Array(words));
    } while (words > 1);
  }

  add(time: number): void {
    let index = time;
    for (const words of this.#levels) {
      const word = index >>> 5;
      const before = words[word]!;
      words[word] = before | (1 << (index & 31));
      if (before !== 0) return;
      index = word;
    }
  }

  remove(time: number): void {
    let index = time;
    for (const words of this.#levels) {
      const word = index >>> 5;
      const after = words[word]! & ~(1 << (index & 31));
      words[word] = after;
      if (after !== 0) return;
      index = word;
    }
  }

  /** @returns the largest member; the set must not be empty */
  largest(): number {
    let index = 0;
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      index = index * 32 + 31 - Math.clz32(this.#levels[level]![index]!);
    }
    return index;
  }
}

/** For each event, the number of the next event of its page, or NONE. */
function nextAccesses(trace: Trace): Int32Array {
  const { events } = trace;
  const next = new Int32Array(events.length);
  const seenAt = slotTable(trace);
  for (let i = events.length - 1; i >= 0; i--) {
    const slot = events[i]! >>> 2;
    next[i] = seenAt[slot]!;
    seenAt[slot] = i;
  }
  return next;
}

/**
 * The pages in memory are known by the times of their next accesses, all different, in a TimeSet;
 * the event at the farthest of them names the victim. Pages never accessed again are victims before
 * all others, and only their number matters. Times gone by stay in the set: when it is asked for
 * the farthest, every page in memory has one ahead.
 */
function missesMin(trace: Trace, frames: number): number {
  const { events } = trace;
  const next = nextAccesses(trace);
  const resident = new Uint8Array(slotCount(trace));
  const due = new TimeSet(events.length);
  let used = 0;
  let dead = 0;
  let misses = 0;
  for (let i = 0; i < events.length; i++) {
    const slot = events[i]! >>> 2;
    if (resident[slot] === 0) {
      misses++;
      if (used < frames) {
        used++;
      } else if (dead > 0) {
        dead--;
      } else {
        const farthest = due.largest();
        due.remove(farthest);
        resident[events[farthest]! >>> 2] = 0;
      }
      resident[slot] = 1;
    }
    const again = next[i]!;
    if (again === NONE) dead++;
    else due.add(again);
  }
  return misses;
}

/**
 * Counts the refaults of a policy.
 * @param frames memory in pages, 1 or more
 * @returns misses less the distinct pages, 0 or more
 * @context any thread; does not block; needs memory of about 4 bytes an event for MIN
 */
export function offlineRefaults(trace: Trace, frames: number, policy: OfflinePolicy): number {
  assert(Number.isInteger(frames) && frames >= 1, 'a policy needs at least one frame');
  return countMisses(trace, frames, policy) - trace.pages.length;
}

function countMisses(trace: Trace, frames: number, policy: OfflinePolicy): number {
  switch (policy) {
    case 'lru':
      return missesLru(trace, frames);
    case 'fifo':
      return missesFifo(trace, frames);
    case 'clock':
      return missesClock(trace, frames);
    case 'min':
      return missesMin(trace, frames);
  }
}
