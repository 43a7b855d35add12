// SPDX-License-Identifier: GPL-2.0-only
/**
 * The touch kernel, in AssemblyScript: the loads and stores of a window of events, over the memory
 * of the page frames. The same steps as `#touchFrames` of user.ts, its twin and reference.
 * Addresses are bytes from the start of the memory, where frame 0 is; an event's bits above the
 * kind, in place, are its slot's offset in a table of words.
 */

export const KIND_WRITE: i32 = 1;
export const PAGE_SHIFT: i32 = 12;

/**
 * Returns the address of the first load that does not find what was stored last, or `end`.
 * `pfns`: from an event to its pfn. `own`: the CPU's slot in a frame. `seq`: where the number of
 * the last store is kept.
 */
export function touch(
  first: usize,
  end: usize,
  pfns: usize,
  lastSeq: usize,
  own: usize,
  tag: i32,
  seq: usize,
): usize {
  let last = load<i32>(seq);
  let event = first;
  for (; event < end; event += 4) {
    const word = load<i32>(event);
    const frame = (load<usize>(event + pfns) << PAGE_SHIFT) + own;
    const expected = lastSeq + (word & ~3);
    if ((word & 3) == KIND_WRITE) {
      last++;
      store<i32>(frame, tag);
      store<i32>(frame + 4, last);
      store<i32>(expected, last);
    } else if (load<i32>(frame + 4) != load<i32>(expected)) {
      break;
    }
  }
  store<i32>(seq, last);
  return event;
}
