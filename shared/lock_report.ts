// SPDX-License-Identifier: MIT
/**
 * Reports on the locks of a domain: /proc/lock_stat, and what a thread holds or waits for. They
 * read the arena only, so that a thread outside the domain, such as the main thread, can make them.
 */
import { type HeldLock, heldOf } from './held_locks.ts';
import { clearLockStat, type LockStatRow, sumLockStat } from './lock_stat.ts';
import type { SyncDomain } from './sync_domain.ts';
import { getComm } from './thread.ts';

/** A held lock with its class's name. */
export interface NamedHeldLock extends HeldLock {
  readonly class: string;
}

/**
 * Locks that a thread holds, oldest first. Complete while statistics or lock-order checking are on;
 * otherwise read sides and bit locks only.
 * @param id 1 .. THREADS_MAX-1
 * @context any thread; of a running thread it may be a moment old
 */
export function heldLocks(domain: SyncDomain, id: number): NamedHeldLock[] {
  const names = domain.options.lockClasses;
  return heldOf(domain.held, id).map((held) => ({
    ...held,
    class: names[held.cls] ?? `class ${held.cls}`,
  }));
}

/** @returns the held locks of a thread as the kernel's debug_show_held_locks prints them */
export function formatHeldLocks(domain: SyncDomain, id: number): string {
  const held = heldLocks(domain, id);
  const who = `${getComm(domain.threads, id) || 'thread'}/${id}`;
  if (held.length === 0) return `no locks held by ${who}.`;
  const title = `${held.length} lock${held.length === 1 ? '' : 's'} held by ${who}:`;
  const lines = held.map((lock, i) => {
    const address = (lock.address >>> 0).toString(16).padStart(8, '0');
    const how = lock.read ? 'read' : lock.tried ? 'try' : 'held';
    return ` #${i}: ${address} (${lock.class}){${how}}`;
  });
  return [title, ...lines].join('\n');
}

/** @returns statistics per class and side, most contended first; none when they are off */
export function lockStatRows(domain: SyncDomain): LockStatRow[] {
  return sumLockStat(domain.lockStat, domain.options.lockClasses);
}

/** Clears the statistics. @context any thread; running threads may lose a count each */
export function resetLockStat(domain: SyncDomain): void {
  clearLockStat(domain.lockStat);
}

const NAME_WIDTH = 40;
const WIDTH = 14;
const COLUMNS = [
  'con-bounces',
  'contentions',
  'waittime-min',
  'waittime-max',
  'waittime-total',
  'waittime-avg',
  'acq-bounces',
  'acquisitions',
  'holdtime-min',
  'holdtime-max',
  'holdtime-total',
  'holdtime-avg',
];

/** Nanoseconds as the kernel prints them: microseconds with two decimals. */
function microseconds(ns: number): string {
  const rounded = Math.floor(ns) + 5;
  const rest = Math.floor((rounded % 1000) / 10);
  return `${Math.floor(rounded / 1000)}.${String(rest).padStart(2, '0')}`;
}

function formatRow(row: LockStatRow): string {
  const holdAvg = row.holdSamples === 0 ? 0 : row.holdNsTotal / row.holdSamples;
  const waitAvg = row.contentions === 0 ? 0 : row.waitNsTotal / row.contentions;
  const cells = [
    '0',
    String(row.contentions),
    microseconds(row.waitNsMin),
    microseconds(row.waitNsMax),
    microseconds(row.waitNsTotal),
    microseconds(waitAvg),
    '0',
    String(row.acquisitions),
    microseconds(0),
    microseconds(row.holdNsMax),
    microseconds(holdAvg * row.acquisitions),
    microseconds(holdAvg),
  ];
  const [first = '', ...rest] = cells.map((cell) => cell.padStart(WIDTH));
  return `${`${row.class}:`.padStart(NAME_WIDTH + 1)}${first} ${rest.join(' ')}`;
}

/**
 * The text of /proc/lock_stat, version 0.4. Columns that are not measured print as 0 (see
 * lock_stat.ts); contention call sites are not recorded.
 * @context any thread
 */
export function formatLockStat(domain: SyncDomain): string {
  const line = '-'.repeat(NAME_WIDTH + 1 + COLUMNS.length * (WIDTH + 1));
  const title = ['class name'.padStart(NAME_WIDTH), ...COLUMNS.map((name) => name.padStart(WIDTH))];
  const rows = lockStatRows(domain).map(formatRow);
  return `${['lock_stat version 0.4', line, title.join(' '), line, '', ...rows].join('\n')}\n`;
}
