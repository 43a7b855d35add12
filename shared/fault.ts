// SPDX-License-Identifier: MIT
/**
 * Fault injection, after the kernel's framework (lib/fault-inject.c): code asks at a place whether
 * to fail there, and a seed decides.
 *
 *   if (shouldFail(FAULT_X)) return NONE;     fails one call in N, chosen by chance
 *   faultDelay(FAULT_DELAY);                  sleeps a moment, wherever the caller is
 *   faultStall(FAULT_STALL);                  sleeps longer, at a place where a thread may sleep
 *
 * Attributes of a kind, as in the kernel:
 *
 *   oneIn      probability 1 / oneIn of the calls that pass the interval
 *   interval   only every interval-th call of a thread is looked at
 *   times      at most so many faults in the whole machine; Infinity for no limit
 *
 * Chance: each thread draws from a stream of its own for each kind, which the fault seed and the
 * thread id name. So what a thread draws depends on its own calls alone, and the same schedule
 * gives the same faults. Only `times` is shared between threads.
 *
 * Off, each place costs one load and one branch that is never taken. What a kind means, and that
 * its places survive it, is the caller's business.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { assert } from './assert.ts';
import { Prng } from './prng.ts';
import { scheduleTimeout } from './sched.ts';
import type { I32 } from './types.ts';

/** Kinds that one machine can have. */
export const FAULT_KINDS_MAX = 32;
/** A delay sleeps up to so long, in ms. */
export const FAULT_DELAY_MS_MAX = 16;
/** A stall sleeps up to so long, in ms. */
export const FAULT_STALL_MS_MAX = 128;
/** Naps are the longest one, halved up to so many times: short ones are as likely as long ones. */
const NAP_HALVINGS = 8;

const FAULT_COLUMNS = {
  injected: 'i32', // @atomic faults of the kind so far, over all threads
  left: 'i32', // @atomic faults of the kind that `times` still allows; unused without a limit
} as const;

/** One row per kind. */
export interface FaultTable extends Columns<typeof FAULT_COLUMNS> {
  readonly kinds: number;
}

/** How often a kind strikes. Plain data. */
export interface FaultAttr {
  /** 1 .. 2^31-1: one call in so many fails. */
  readonly oneIn: number;
  /** At least 1. */
  readonly interval: number;
  /** At least 0, or null for no limit. */
  readonly times: number | null;
}

/** What a thread keeps for one kind. */
interface FaultSite {
  readonly attr: FaultAttr;
  readonly chance: Prng;
  calls: number;
}

/** This thread's switch; one object, so that the test is one load of a field. */
const armed: { on: boolean; table: FaultTable | null; sites: (FaultSite | null)[] } = {
  on: false,
  table: null,
  sites: [],
};

/** Slept on by delays, alone: nobody ever wakes it. Private to the thread. */
const nobody = new Int32Array(new SharedArrayBuffer(4)) as I32;

/** Declares the counters. Pure, as the arena asks. @param kinds 0 .. FAULT_KINDS_MAX */
export function declareFaults(builder: ArenaBuilder, kinds: number): FaultTable {
  assert(kinds >= 0 && kinds <= FAULT_KINDS_MAX, 'more fault kinds than FAULT_KINDS_MAX');
  return { ...builder.columns('fault', FAULT_COLUMNS, kinds), kinds };
}

/**
 * Fills in what `times` allows.
 * @param attrs by kind; null where the kind is off
 * @context once per machine, before its first thread starts
 */
export function initFaults(table: FaultTable, attrs: readonly (FaultAttr | null)[]): void {
  assert(attrs.length === table.kinds, 'one attribute per kind of fault');
  attrs.forEach((attr, kind) => {
    Atomics.store(table.left, kind, attr?.times ?? 0);
  });
}

/**
 * Arms this thread.
 * @param attrs by kind; null where the kind is off
 * @param seed any 32-bit integer @param thread names the thread's streams
 * @context once per worker; `leaveFaults` ends it
 */
export function enterFaults(
  table: FaultTable,
  attrs: readonly (FaultAttr | null)[],
  seed: number,
  thread: number,
): void {
  assert(attrs.length === table.kinds, 'one attribute per kind of fault');
  armed.table = table;
  armed.sites = attrs.map((attr, kind) =>
    attr === null
      ? null
      : { attr, chance: new Prng(seed, thread * FAULT_KINDS_MAX + kind), calls: 0 },
  );
  armed.on = armed.sites.some((site) => site !== null);
}

/** Disarms this thread. */
export function leaveFaults(): void {
  armed.on = false;
  armed.table = null;
  armed.sites = [];
}

/**
 * Should this call fail?
 * @param kind as the table was declared
 * @context any; never parks
 */
export function shouldFail(kind: number): boolean {
  return armed.on && draw(kind);
}

/** The slow path: counts the call, draws, and counts the fault. */
function draw(kind: number): boolean {
  const site = armed.sites[kind] ?? null;
  if (site === null) return false;
  const { attr } = site;
  site.calls++;
  if (site.calls % attr.interval !== 0) return false;
  if (site.chance.below(attr.oneIn) !== 0) return false;
  const table = armed.table as FaultTable;
  if (attr.times !== null && !takeOne(table.left, kind)) return false;
  Atomics.add(table.injected, kind, 1);
  return true;
}

/** @returns false when the word is 0 already */
function takeOne(words: I32, index: number): boolean {
  let seen = Atomics.load(words, index);
  while (seen > 0) {
    const was = Atomics.compareExchange(words, index, seen, seen - 1);
    if (was === seen) return true;
    seen = was;
  }
  return false;
}

/**
 * Perhaps sleeps up to FAULT_DELAY_MS_MAX, as a thread does whose core was taken away.
 * @context any, under spinlocks and inside RCU readers too: nothing is announced
 */
export function faultDelay(kind: number): void {
  if (armed.on && draw(kind)) Atomics.wait(nobody, 0, 0, napMs(kind, FAULT_DELAY_MS_MAX));
}

/**
 * Perhaps sleeps up to FAULT_STALL_MS_MAX; a request ends it.
 * @context a thread of a machine, where it may sleep: no spinlock held, not inside an RCU reader
 */
export function faultStall(kind: number): void {
  if (armed.on && draw(kind)) scheduleTimeout(napMs(kind, FAULT_STALL_MS_MAX));
}

/** Of every order of magnitude with the same chance: a race has a length that nobody knows. */
function napMs(kind: number, most: number): number {
  const { chance } = armed.sites[kind] as FaultSite;
  return (most / 2 ** chance.below(NAP_HALVINGS)) * (0.5 + chance.nextFloat() / 2);
}

/** @returns faults of each kind so far @context any thread */
export function faultsInjected(table: FaultTable): number[] {
  return Array.from({ length: table.kinds }, (_, kind) => Atomics.load(table.injected, kind));
}
