// SPDX-License-Identifier: GPL-2.0-only
/**
 * The tables of kcompressd: a ring of folios for each of its threads (seed 001, kcompress_fifo).
 * What is wrong with the prototype as posted, and breaks a machine, can be switched on one by one.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { KfifoMpsc } from '../../shared/kfifo_mpsc.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS } from '../../shared/wait_queue.ts';

/**
 *   off     kswapd compresses itself
 *   seed    the prototype: the folio stays locked until it is stored, and ages a second time
 *   fixed   the folio is in writeback and unlocked, and is the next to go once it is stored
 */
export const KCOMPRESSD_POLICIES = ['off', 'seed', 'fixed'] as const;
export type KcompressdPolicy = (typeof KCOMPRESSD_POLICIES)[number];

/** The policies by number. */
export const KCOMPRESSD_OFF = 0;
export const KCOMPRESSD_SEED = 1;
export const KCOMPRESSD_FIXED = 2;

/**
 *   struct-bytes  the ring gets the first word of the folio, not its number
 *   one-page      the thread returns after the first page that zswap takes
 *   no-wake       nobody wakes the thread
 *   stop-hang     the thread waits for folios, not for being told to stop
 *   stop-leak     it stops with folios in its ring
 *   lost-dirty    a folio that could not be written is not dirty again
 */
export const KCOMPRESSD_BUGS = [
  'struct-bytes',
  'one-page',
  'no-wake',
  'stop-hang',
  'stop-leak',
  'lost-dirty',
] as const;
export type KcompressdBug = (typeof KCOMPRESSD_BUGS)[number];

/** Folios that the rings of a node hold together (KCOMPRESS_FIFO_SIZE). */
export const KCOMPRESS_FIFO_SIZE = 256;
/** Threads of a node. */
export const KCOMPRESSD_THREADS_MAX = 4;

/** The thread takes nothing: what kswapd has it writes itself. */
export const KCOMPRESSD_SHUT = 0;
export const KCOMPRESSD_RUNNING = 1;

/** A row for each thread: node by node. */
const KCOMPRESSD_COLUMNS = {
  state: 'i32', // @atomic KCOMPRESSD_SHUT or _RUNNING; the thread's to change
  pushing: 'i32', // @atomic producers between looking at the state and being done with the ring
  queued: 'i32', // @atomic folios that were queued, wraps
  full: 'i32', // @atomic folios that found the ring full, wraps
  off: 'i32', // @atomic folios that found no thread, wraps
  depthMax: 'i32', // @owner the thread  most that were in the ring at once  @racy reports
  depthSum: 'f64', // @owner the thread  sum of what each left in the ring  @racy reports
  stored: 'i32', // @atomic folios that were stored, wraps: kswapd's progress
  pages: 'f64', // @owner the thread  pages of these  @racy reports
  failed: 'i32', // @atomic folios that are dirty again, wraps
  busyNs: 'f64', // @owner the thread  time at work  @racy reports
} as const;

/** Entries of one thread's ring: a power of two, all rings of a node within KCOMPRESS_FIFO_SIZE. */
export function kcompressdCapacity(threads: number): number {
  return KCOMPRESS_FIFO_SIZE >> (32 - Math.clz32(threads - 1));
}

/** Words of one thread's ring: whole lines. */
export function kcompressdRingWords(threads: number): number {
  return Math.ceil(KfifoMpsc.words(kcompressdCapacity(threads)) / LINE_WORDS) * LINE_WORDS;
}

/** @param threads of all nodes together, 0 when there are none @param perNode of one of them */
export function declareKcompressd(builder: ArenaBuilder, threads: number, perNode: number) {
  const words = (name: string, rows: number, wordsPerRow: number): Int32Array<SharedArrayBuffer> =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    kcompressd: builder.columns('kcompressd', KCOMPRESSD_COLUMNS, threads),
    // @atomic rings of kfifo_mpsc.ts, one for each thread
    kcompressFifo: words(
      'kcompressd.fifo',
      threads,
      perNode === 0 ? 0 : kcompressdRingWords(perNode),
    ),
    // @atomic wait queue: woken when a folio was queued
    kcompressdWait: words('kcompressd.wait', threads, WAIT_QUEUE_WORDS),
    // @atomic wait queue: woken when a ring has room again
    kcompressdRoom: words('kcompressd.room', threads, WAIT_QUEUE_WORDS),
  };
}
