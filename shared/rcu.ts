// SPDX-License-Identifier: MIT
/** placeholder until merged */
import type { ArenaBuilder } from './arena.ts';
export interface RcuTable { readonly x: number }
export function declareRcu(_b: ArenaBuilder): RcuTable { return { x: 0 }; }
