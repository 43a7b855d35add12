// SPDX-License-Identifier: GPL-2.0-only
/**
 * The access kernel, in AssemblyScript: translate and mark a window of events over the arena.
 *
 * The same steps as `accessWindow` of access_kernel.ts, its twin and reference; what the parameters
 * mean is said there. Offsets are bytes from the start of the memory. The constants are exported so
 * that the loader can compare them with the engine's.
 */

export const PTE_PRESENT: i32 = 1;
export const PTE_WRITE: i32 = 2;
export const PTE_YOUNG: i32 = 4;
export const PTE_DIRTY: i32 = 8;
export const PTE_SHIFT: i32 = 8;
export const KIND_WRITE: i32 = 1;

const NEED_READ: i32 = PTE_PRESENT | PTE_YOUNG;
const NEED_WRITE: i32 = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;

/** Sets the bits of `need` that `seen` lacks. Returns false for a fault. */
function mark(pte: usize, parents: usize, index: i32, seen: i32, need: i32): bool {
  const at = pte + ((<usize>index) << 2);
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
    const parent = load<i32>(parents + ((<usize>(index >>> 9)) << 2));
    const above = pte + ((<usize>parent) << 2);
    if ((atomic.load<i32>(above) & PTE_YOUNG) == 0) atomic.or<i32>(above, PTE_YOUNG);
  }
  return true;
}

/** Returns the position of the first event that faults, or `end`. */
export function access(
  events: usize,
  pfns: usize,
  tables: usize,
  pte: usize,
  parents: usize,
  first: i32,
  end: i32,
): i32 {
  for (let i = first; i < end; i++) {
    const word = load<i32>(events + ((<usize>i) << 2));
    const slot = word >>> 2;
    const table = load<i32>(tables + ((<usize>(slot >>> 9)) << 2));
    if (table < 0) return i;
    const index = table + (slot & 511);
    const entry = atomic.load<i32>(pte + ((<usize>index) << 2));
    const need = (word & 3) == KIND_WRITE ? NEED_WRITE : NEED_READ;
    if ((entry & need) != need && !mark(pte, parents, index, entry, need)) return i;
    store<i32>(pfns + ((<usize>i) << 2), entry >>> PTE_SHIFT);
  }
  return end;
}
