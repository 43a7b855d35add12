// SPDX-License-Identifier: GPL-2.0-only
/** The kinds of workloads that a scenario file can name. */
import { fio } from './fio.ts';
import { forkstorm } from './forkstorm.ts';
import { kernbench } from './kernbench.ts';
import type { AnyKind } from './kind_types.ts';
import { memcached } from './memcached.ts';
import { monkey } from './monkey.ts';
import { programKind } from './program_kind.ts';
import { traceKind } from './trace_kind.ts';

export const KINDS: readonly AnyKind[] = [
  monkey,
  memcached,
  forkstorm,
  kernbench,
  fio,
  traceKind,
  programKind,
];

/** @returns the kind of that name, or undefined */
export function kindOf(name: string): AnyKind | undefined {
  return KINDS.find(({ kind }) => kind === name);
}
