// SPDX-License-Identifier: GPL-2.0-only
/**
 * Translating and marking a window of events: the hot half of an access that hits.
 *
 * A window is up to SECTION_EVENTS_MAX events of one section. For each event, in order: the
 * region's leaf table, the entry, the young bit (and dirty, for a store) by compare-and-swap when
 * it is missing, the young bit above the table when the leaf's was missing. The page frames of the
 * events done come out, and their bytes are touched afterwards, in the same section and the same
 * order: an entry that was seen present stays good to the end of the section (tlb.ts), so the two
 * halves need not alternate. The first event that faults ends the window.
 *
 * The two halves are apart because page frames lie outside the arena: what works on the arena alone
 * can be WebAssembly. `accessWindow` is the reference; the kernel in wasm/access.ts does the same
 * steps. The kernel sees arena memory only, so a CPU's window lives there, and the tables of the
 * program that runs are copied there when another program's are (`bind`).
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { type I32, LINE_BYTES } from '../../shared/types.ts';
import { loadKernel } from '../../shared/wasm.ts';
import { FAULT_DELAY } from './faults.ts';
import { ACCESS_WINDOW_WORDS } from './limits.ts';
import { type Mm, regionTableWords } from './mm.ts';
import { PTE_DIRTY, PTE_PRESENT, PTE_SHIFT, PTE_WRITE, PTE_YOUNG } from './mm_types.ts';
import { markNonLeafYoung } from './pgtable.ts';

/** Event kinds: the low two bits of an event word. */
export const KIND_READ = 0;
export const KIND_WRITE = 1;
export const KIND_IFETCH = 2;

export const NEED_READ = PTE_PRESENT | PTE_YOUNG;
export const NEED_WRITE = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;

/** Windows shorter than this run the twin: a call into the kernel would cost more than it saves. */
const KERNEL_EVENTS_MIN = 32;

/** A CPU's window, in the arena. */
export interface AccessWindow {
  readonly events: I32; // @owner cpu  words of (slot << 2 | kind)
  readonly pfns: I32; // @owner cpu  page frame of each event done
}

/** @returns this CPU's window @context the CPU's own thread */
export function accessWindowOf(m: Mm): AccessWindow {
  const words = ACCESS_WINDOW_WORDS;
  const row = m.accessWindow.subarray(m.task.cpu * words, (m.task.cpu + 1) * words);
  return { events: row.subarray(0, words / 2), pfns: row.subarray(words / 2) };
}

/**
 * Sets the bits of `need` that an entry lacks, and the young bit above its table.
 * @param seen the entry as loaded
 * @returns false for a fault: not there, or not writable
 * @context the CPU that runs, in a section
 */
export function markEntry(m: Mm, index: number, seen: number, need: number): boolean {
  const { pte } = m;
  const must = need & (PTE_PRESENT | PTE_WRITE);
  let entry = seen;
  for (;;) {
    if ((entry & must) !== must) return false;
    faultDelay(FAULT_DELAY);
    const was = Atomics.compareExchange(pte, index, entry, entry | need);
    if (was === entry) break;
    // Cleared for aging, or gone to swap: look at what it is now.
    if (was >>> PTE_SHIFT !== entry >>> PTE_SHIFT) return false;
    entry = was;
  }
  if ((seen & PTE_YOUNG) === 0) markNonLeafYoung(m, index);
  return true;
}

/**
 * Translates and marks events `first` to `end - 1` of the window.
 * @param tables first leaf entry of each region, -1 for none
 * @returns the first event that faults, or `end`; the pfns of those before it are in the window
 * @context the CPU's own thread, in a section
 */
export function accessWindow(
  m: Mm,
  window: AccessWindow,
  tables: Int32Array,
  first: number,
  end: number,
): number {
  const { pte } = m;
  const { events, pfns } = window;
  for (let at = first; at < end; at++) {
    const word = events[at] as number;
    const slot = word >>> 2;
    const table = tables[slot >>> 9] as number;
    if (table < 0) return at;
    const index = table + (slot & 511);
    const entry = Atomics.load(pte, index);
    const need = (word & 3) === KIND_WRITE ? NEED_WRITE : NEED_READ;
    if ((entry & need) !== need && !markEntry(m, index, entry, need)) return at;
    pfns[at] = entry >>> PTE_SHIFT;
  }
  return end;
}

/** Byte offsets in the arena; wasm/access.ts says what they mean. */
interface KernelExports {
  access(
    first: number,
    end: number,
    pfns: number,
    tables: number,
    pte: number,
    parents: number,
    section: number,
  ): number;
  accessBare(
    first: number,
    end: number,
    tables: number,
    pte: number,
    parents: number,
    section: number,
  ): number;
}

/** The WebAssembly kernel, bound to one CPU. Private to its thread. */
export class AccessKernel {
  readonly #exports: KernelExports;
  readonly #contents: boolean;
  readonly #events: number;
  readonly #pfns: number;
  /** Address of each region's leaf table: that of table 0, which is empty, where it has none. */
  readonly #tables: I32;
  readonly #pte: number;
  readonly #parents: number;
  readonly #region: number;
  readonly #section: number;
  /** Whose tables the region table holds. */
  #bound: Int32Array | null = null;

  /** @context the CPU's own thread, outside a section: reads and compiles the kernel */
  constructor(m: Mm) {
    const url = new URL('./wasm/access.wasm', import.meta.url);
    const exports = loadKernel(url, m.buffers.memory);
    checkConstants(exports);
    this.#exports = exports as unknown as KernelExports;
    this.#contents = m.config.contents;
    const window = accessWindowOf(m);
    const words = regionTableWords(m.config);
    this.#events = window.events.byteOffset;
    this.#pfns = window.pfns.byteOffset;
    this.#tables = m.regionTable.subarray(m.task.cpu * words, (m.task.cpu + 1) * words);
    this.#region = this.#tables.byteOffset;
    this.#section = m.section.byteOffset + m.task.cpu * LINE_BYTES;
    this.#pte = m.pte.byteOffset;
    this.#parents = m.table.parent.byteOffset;
  }

  /** Can it run so many events of a program with these tables? */
  takes(tables: Int32Array, events: number): boolean {
    return events >= KERNEL_EVENTS_MIN && tables.length <= this.#tables.length;
  }

  /**
   * Makes `tables` the ones that `access` looks in: copies them unless they were the last bound.
   */
  bind(tables: Int32Array): void {
    if (this.#bound === tables) return;
    this.#bound = tables;
    for (let region = 0; region < tables.length; region++) this.setTable(tables, region);
  }

  /** A region of `tables` has got its leaf table. */
  setTable(tables: Int32Array, region: number): void {
    if (this.#bound !== tables) return;
    this.#tables[region] = this.#pte + Math.max(0, tables[region] as number) * 4;
  }

  /**
   * `accessWindow`, over the bound tables; without contents, the pfns are not written.
   * @context the CPU's own thread, in a section
   */
  access(first: number, end: number): number {
    const from = this.#events + first * 4;
    const to = this.#events + end * 4;
    const { access, accessBare } = this.#exports;
    const pfns = this.#pfns - this.#events;
    const stopped = this.#contents
      ? access(from, to, pfns, this.#region, this.#pte, this.#parents, this.#section)
      : accessBare(from, to, this.#region, this.#pte, this.#parents, this.#section);
    return ((stopped >>> 0) - this.#events) / 4;
  }
}

/** The kernel says again what mm_types.ts says: the two must agree. */
function checkConstants(exports: Readonly<Record<string, unknown>>): void {
  const ours = { PTE_PRESENT, PTE_WRITE, PTE_YOUNG, PTE_DIRTY, PTE_SHIFT, KIND_WRITE };
  for (const [name, value] of Object.entries(ours)) {
    const theirs = exports[name] as { readonly value: number } | undefined;
    assert(theirs?.value === value, 'the access kernel was built for other page-table entries');
  }
}

const kernels = new WeakMap<Mm, AccessKernel>();

/**
 * The kernel of this CPU, made on first use.
 * @returns null when the configuration asks for the twin or emulates a TLB
 * @context the CPU's own thread, outside a section
 */
export function accessKernelOf(m: Mm): AccessKernel | null {
  if (m.config.accessKernel !== 'wasm' || m.config.tlbEntries > 0) return null;
  let kernel = kernels.get(m);
  if (kernel === undefined) {
    kernel = new AccessKernel(m);
    kernels.set(m, kernel);
  }
  return kernel;
}
