// SPDX-License-Identifier: MIT
/**
 * A history that could not be explained, as text: what was explained and in which order, what could
 * not follow, and a timeline of the operations around it, one row a thread.
 */
import { formatOperation, type History, type Operation } from './history.ts';
import type { LinearizablePrefix } from './linearizability.ts';

const ORDER_SHOWN = 8;
const TIMELINE_SHOWN = 12;

/**
 * @param kind whether there is no order, or the time was up
 * @param operations of the part that `prefix` is about
 * @returns lines, the first of which stands alone
 */
export function describePrefix(
  kind: 'violation' | 'timeout',
  model: string,
  prefix: LinearizablePrefix,
  operations: History,
): string {
  const { order, stuck, candidates, part } = prefix;
  const of = part === null ? '' : `, part ${part}`;
  const reason =
    kind === 'timeout'
      ? `the time was up; ${order.length} of ${operations.length} operations have an order`
      : stuck === null
        ? 'no order of its operations gives their results'
        : `nothing explains ${label(stuck)}`;
  const head = `not linearizable by the model '${model}'${of}: ${reason}`;
  const lines = [kind === 'timeout' ? head.replace('not l', 'not known to be l') : head, ''];
  const shown = order.slice(-ORDER_SHOWN).map(label);
  const before = order.length > ORDER_SHOWN ? `${order.length - ORDER_SHOWN} others, ` : '';
  lines.push(`  explained:   ${before}${shown.join(', ') || 'nothing'}`);
  lines.push(`  state then:  ${printable(prefix.state)}`);
  for (const { operation, answer } of candidates) {
    lines.push(`  not next:    ${label(operation)}: ${answer}`);
  }
  const near = [...candidates.map(({ operation }) => operation), ...[...order].reverse()];
  return [...lines, '', ...timeline(near.slice(0, TIMELINE_SHOWN))].join('\n');
}

/** @returns `T1 pop() -> 2` */
function label(operation: Operation): string {
  return `T${operation.thread} ${formatOperation(operation)}`;
}

function printable(state: unknown): string {
  const text = JSON.stringify(state, (_, value) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Map || value instanceof Set) return [...value];
    return value;
  });
  return text === undefined ? 'none' : text.length > 80 ? `${text.slice(0, 80)} ...` : text;
}

/**
 * One row a thread; `[` is a call, `]` an end, and what stands left of something happened before
 * it. A pending operation has no `]`.
 */
export function timeline(operations: readonly Operation[]): string[] {
  const stamps = [...new Set(operations.flatMap(({ call, end }) => [call, end ?? call]))];
  stamps.sort((a, b) => a - b);
  const column = new Map<number, number>();
  let at = 0;
  for (const stamp of stamps) {
    for (const operation of operations) {
      if (operation.end !== stamp) continue;
      const from = column.get(operation.call) ?? at;
      at = Math.max(at, from + formatOperation(operation).length + 1);
    }
    column.set(stamp, at);
    at += 2;
  }
  const threads = [...new Set(operations.map(({ thread }) => thread))].sort((a, b) => a - b);
  const width = String(threads.at(-1) ?? 0).length;
  return threads.map((thread) => {
    const mine = operations.filter((operation) => operation.thread === thread);
    mine.sort((a, b) => a.call - b.call);
    let row = '';
    for (const operation of mine) {
      row = `${row.padEnd(column.get(operation.call) as number)}[${formatOperation(operation)}`;
      if (operation.end !== null) row = `${row.padEnd(column.get(operation.end) as number)}]`;
    }
    return `  T${String(thread).padEnd(width)} ${row}`;
  });
}
