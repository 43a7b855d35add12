// SPDX-License-Identifier: GPL-2.0-only
/** Stub. */
import { ENOSYS } from './errno.ts';
import type { Mm } from './mm.ts';

/** Stub. */
export function dupMm(_m: Mm, _parentMm: number, _childMm: number): number {
  return ENOSYS;
}
