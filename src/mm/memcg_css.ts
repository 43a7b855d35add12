// SPDX-License-Identifier: GPL-2.0-only
/** References on groups (css_get, css_put). */
import type { Mm } from './mm.ts';

/** Takes a reference on a group that the caller knows to have one. @context any */
export function memcgGet(m: Mm, memcg: number): void {
  Atomics.add(m.memcg.refs, memcg, 1);
}

/** Drops a reference. @context any, under spinlocks too */
export function memcgPut(m: Mm, memcg: number): void {
  Atomics.sub(m.memcg.refs, memcg, 1);
}
