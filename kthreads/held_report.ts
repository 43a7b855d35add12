// SPDX-License-Identifier: GPL-2.0-only
/** Which locks a thread holds and who holds what a thread waits for, as text for reports. */
import { heldOf } from '../shared/held_locks.ts';
import { scanLockRegions } from '../shared/lock_region.ts';
import { getComm, WAIT_FOLIO, WAIT_LOCK } from '../shared/thread.ts';
import type { Engine } from './engine.ts';

/** A report names at most so many locks of one thread. */
const REPORT_LOCKS_MAX = 32;

/** What each WAIT_* kind reads as in a report. */
const WAIT_NAMES = ['nothing', 'an event', 'lock', 'a folio', 'a completion', 'RCU', 'a shootdown'];

function className(engine: Engine, cls: number): string {
  return engine.sync.options.lockClasses[cls] ?? `class ${cls}`;
}

/** @returns `comm/id` */
export function taskLabel(engine: Engine, id: number): string {
  return `${getComm(engine.sync.threads, id)}/${id}`;
}

/**
 * The locks that a thread holds: its held stack, plus lock words that carry its id.
 * @returns one line per lock, outermost first as far as known
 * @context reports only; a live thread's answer may be a moment old
 */
export function describeHeldLocks(engine: Engine, id: number): string[] {
  const lines: string[] = [];
  const seen = new Set<number>();
  for (const held of heldOf(engine.sync.held, id)) {
    seen.add(held.address);
    const side = held.read ? ' (read)' : '';
    lines.push(`${className(engine, held.cls)}${side} at 0x${(held.address >>> 0).toString(16)}`);
  }
  for (const lock of scanLockRegions(engine.lockRegions, id, -1, REPORT_LOCKS_MAX)) {
    if (seen.has(lock.address)) continue;
    lines.push(`${className(engine, lock.cls)} [${lock.row}]`);
  }
  return lines.slice(0, REPORT_LOCKS_MAX);
}

/**
 * What a sleeping thread waits for, and for a lock who holds one of that class.
 * @returns for instance `lock ptl, held by kswapd0/3`
 */
export function describeWait(engine: Engine, id: number): string {
  const { threads } = engine.sync;
  const kind = Atomics.load(threads.waitKind, id);
  const arg = Atomics.load(threads.waitArg, id);
  const name = WAIT_NAMES[kind] ?? `wait ${kind}`;
  if (kind !== WAIT_LOCK && kind !== WAIT_FOLIO) return name;
  const cls = kind === WAIT_LOCK ? arg : -1;
  const what = kind === WAIT_LOCK ? `lock ${className(engine, arg)}` : `${name} (${arg})`;
  const holders = cls === -1 ? [] : holdersOf(engine, cls, id);
  return holders.length === 0 ? what : `${what}, held by ${holders.join(', ')}`;
}

function holdersOf(engine: Engine, cls: number, waiter: number): string[] {
  const ids = new Set<number>();
  for (const lock of scanLockRegions(engine.lockRegions, 0, cls, REPORT_LOCKS_MAX)) {
    ids.add(lock.owner);
  }
  const threads = engine.sync.threads.state.length;
  for (let id = 1; id < threads; id++) {
    if (heldOf(engine.sync.held, id).some((held) => held.cls === cls)) ids.add(id);
  }
  ids.delete(waiter);
  return [...ids].map((id) => taskLabel(engine, id));
}
