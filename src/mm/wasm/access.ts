// SPDX-License-Identifier: GPL-2.0-only
/**
 * The access kernel, in AssemblyScript: translate and mark a window of events over the arena.
 *
 * The same steps as `accessWindow` of access_kernel.ts, its twin and reference. What differs:
 *   - addresses are bytes from the start of the memory;
 *   - the region table holds the addresses of leaf tables. A region without one has the address of
 *     table 0, which is never used: its entries are zero, and every access to it faults;
 *   - the first look at an entry is a plain load. What must be ordered is the section's begin
 *     before the look, and one atomic load between them does that for all looks, on x86 and on
 *     arm64; a look that is stale within the section is what a TLB gives, too. Marks are
 *     compare-and-swaps.
 * An event is slot << 2 | kind, so that its bits 2 to 10, in place, are the entry's offset within
 * its table. The constants are exported so that the loader can compare them with the engine's.
 */

export const PTE_PRESENT: i32 = 1;
export const PTE_WRITE: i32 = 2;
export const PTE_YOUNG: i32 = 4;
export const PTE_DIRTY: i32 = 8;
export const PTE_SHIFT: i32 = 8;
export const KIND_WRITE: i32 = 1;

const NEED_READ: i32 = PTE_PRESENT | PTE_YOUNG;
const NEED_WRITE: i32 = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;

/** Offset of the entry in its table; the table's place in the region table, both in bytes. */
const ENTRY_MASK: i32 = 0x7fc;
const REGION_SHIFT: i32 = 9;
const REGION_MASK: i32 = ~3;

/** Sets the bits of `need` that `seen` lacks. Returns false for a fault. */
function mark(at: usize, seen: i32, need: i32, pte: usize, parents: usize): bool {
  const must = need & (PTE_PRESENT | PTE_WRITE);
  let entry = seen;
  while (true) {
    if ((entry & must) != must) return false;
    const was = atomic.cmpxchg<i32>(at, entry, entry | need);
    if (was == entry) break;
    if (was >>> PTE_SHIFT != entry >>> PTE_SHIFT) return false;
    entry = was;
  }
  if ((seen & PTE_YOUNG) == 0) {
    const parent = load<i32>(parents + (((at - pte) >>> 11) << 2));
    const above = pte + ((<usize>parent) << 2);
    if ((atomic.load<i32>(above) & PTE_YOUNG) == 0) atomic.or<i32>(above, PTE_YOUNG);
  }
  return true;
}

// @ts-ignore: decorator
@inline
function entryAt(tables: usize, word: i32): usize {
  const table = load<usize>(tables + ((word >>> REGION_SHIFT) & REGION_MASK));
  return table + (word & ENTRY_MASK);
}

// @ts-ignore: decorator
@inline
function needOf(word: i32): i32 {
  return (word & 3) == KIND_WRITE ? NEED_WRITE : NEED_READ;
}

/**
 * Returns the address of the first event that faults, or `end`. Pfns go to `pfns` bytes further on.
 */
export function access(
  first: usize,
  end: usize,
  pfns: usize,
  tables: usize,
  pte: usize,
  parents: usize,
  section: usize,
): usize {
  // PAIRS(shootdown): the bump that began the section, this load, then the looks.
  atomic.load<i32>(section);
  for (let event = first; event < end; event += 4) {
    const word = load<i32>(event);
    const at = entryAt(tables, word);
    const entry = load<i32>(at);
    const need = needOf(word);
    if ((entry & need) != need && !mark(at, entry, need, pte, parents)) return event;
    store<i32>(event + pfns, entry >>> PTE_SHIFT);
  }
  return end;
}

/** `access` where nobody asks for the pfns: contents are off. */
export function accessBare(
  first: usize,
  end: usize,
  tables: usize,
  pte: usize,
  parents: usize,
  section: usize,
): usize {
  atomic.load<i32>(section);
  for (let event = first; event < end; event += 4) {
    const word = load<i32>(event);
    const at = entryAt(tables, word);
    const entry = load<i32>(at);
    const need = needOf(word);
    if ((entry & need) != need && !mark(at, entry, need, pte, parents)) return event;
  }
  return end;
}
