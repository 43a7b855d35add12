// SPDX-License-Identifier: GPL-2.0-only
/**
 * What enables large folios at boot, in the words of the kernel's command line
 * (transparent_hugepage=, thp_anon=).
 */
import { oneLine, UsageError } from './errors.ts';
import type { ThpConfig } from './mm/config.ts';
import { PAGE_SIZE } from './mm/limits.ts';
import { THP_MODES, THP_ORDER_MAX, THP_ORDER_MIN, type ThpMode } from './mm/thp_types.ts';

const HINT =
  "give '16K-64K:always;2M:madvise': sizes 16K..2M, then always, madvise, never, inherit";
const UNITS: Readonly<Record<string, number>> = { K: 1 << 10, M: 1 << 20 };

function refuse(text: string): never {
  throw new UsageError(`thpAnon: '${oneLine(text, 40)}' will not do; ${HINT}`);
}

/** @returns the order of a size @throws UsageError */
function orderOf(size: string, text: string): number {
  const found = /^(\d{1,4})([KM])$/i.exec(size.trim());
  if (found === null) return refuse(text);
  const unit = UNITS[(found[2] as string).toUpperCase()] as number;
  const order = Math.log2((Number(found[1]) * unit) / PAGE_SIZE);
  const known = Number.isInteger(order) && order >= THP_ORDER_MIN && order <= THP_ORDER_MAX;
  return known ? order : refuse(text);
}

/** @throws UsageError */
function parseOrders(text: string): Record<number, ThpMode> {
  const orders: Record<number, ThpMode> = {};
  for (const part of text.split(';')) {
    const [sizes = '', mode = '', ...rest] = part.split(':');
    if (!THP_MODES.includes(mode.trim() as ThpMode) || rest.length > 0) refuse(text);
    for (const range of sizes.split(',')) {
      const [from = '', to = from, ...more] = range.split('-');
      const last = orderOf(to, text);
      const first = orderOf(from, text);
      if (first > last || more.length > 0) refuse(text);
      for (let order = first; order <= last; order++) orders[order] = mode.trim() as ThpMode;
    }
  }
  return orders;
}

/**
 * @param enabled transparent_hugepage=, or null when it is not given
 * @param orders thp_anon=, or null
 * @returns null when neither is given: a kernel without large folios
 * @throws UsageError, one line
 */
export function thpConfig(
  enabled: ThpConfig['enabled'] | null,
  orders: string | null,
): ThpConfig | null {
  if (enabled === null && orders === null) return null;
  return { enabled: enabled ?? 'never', orders: orders === null ? {} : parseOrders(orders) };
}
