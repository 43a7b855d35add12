// SPDX-License-Identifier: GPL-2.0-only
/** What a scenario file may say: see docs/scenarios.md. */
import * as v from 'valibot';
import { MEMCG_NAME_BYTES } from '../mm/limits.ts';
import { cpuList, field, integer, number, open, size, text } from './kind_fields.ts';
import type { AnyKind } from './kind_types.ts';
import { KINDS } from './kinds.ts';

export const SCALE_MAX = 1024;
const NAME_HINT = `give 1..${MEMCG_NAME_BYTES - 1} letters, digits, or any of . _ -`;
const name = v.pipe(v.string(NAME_HINT), v.regex(/^[\w.-]{1,31}$/, NAME_HINT));
const limit = (what: string) => open(size, `${what}; bytes at scale 1, or a part of the memory`);

/** A memory group. */
export const GROUP = v.strictObject({
  name: v.pipe(name, v.description('of the group, below the root; workloads name it')),
  'memory.max': limit('what it may use, at most'),
  'memory.high': limit('above this its processes are slowed down, and reclaim'),
  'memory.min': limit('memory that is never reclaimed from it'),
  'memory.low': limit('memory that is not reclaimed from it while others have any'),
  'memory.swap.max': limit('swap that it may use, at most'),
});

export type GroupFields = v.InferOutput<typeof GROUP>;

/** Fields that a workload of any kind has. */
export const COMMON = {
  name: open(name, 'of the workload, in the report where there are several (default: its kind)'),
  group: open(name, 'the group that it runs in (default: none)'),
  cpus: open(cpuList, 'CPUs that it runs on (default: all that no other has to itself)'),
};

/** A workload of a kind. */
export function workloadSchema(kind: AnyKind) {
  const tag = v.pipe(v.literal(kind.kind), v.description(kind.description));
  return v.strictObject({ kind: tag, ...COMMON, ...kind.fields });
}

/** The file as a whole; each workload is looked at by the schema of its kind. */
export const FILE = v.strictObject({
  $schema: open(text, 'for editors: the schema of this file'),
  name: open(name, 'of the scenario, in the report (default: that of the file)'),
  description: open(text, 'a line about it'),
  seed: open(integer(0, 2 ** 32 - 1), 'of everything drawn by chance (default: 1)'),
  scale: field(
    number(1 / 1024, SCALE_MAX),
    'how large: the machine has 64 MiB times this, and sizes in bytes are times this',
    1,
  ),
  machine: field(
    v.record(v.string(), v.unknown(), 'give an object of options'),
    'options of the machine, by their names in the library, on the command line, or as sysctls',
    {},
  ),
  groups: field(v.array(GROUP, 'give a list of groups'), 'memory groups that exist at boot', []),
  workloads: v.pipe(
    v.array(v.record(v.string(), v.unknown()), 'give a list of workloads'),
    v.minLength(1, 'give at least one workload'),
    v.description('what runs, all at once'),
  ),
});

export type FileFields = v.InferOutput<typeof FILE>;

/** Kinds by their names, for messages. */
export const KIND_NAMES = KINDS.map(({ kind }) => kind);
