// SPDX-License-Identifier: GPL-2.0-only
/** The arena of the mount torture: a whole machine of no processes, and words for rest. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { rcuMightSleep, rcuQuiescent } from '../../shared/rcu.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { MmConfig, ShrinkerPolicy } from '../mm/config.ts';
import { SB_FREE } from '../mm/fs_types.ts';
import { memcgPut, memcgTryGet } from '../mm/memcg_css.ts';
import { STOCK_TASK } from '../mm/memcontrol.ts';
import { declareMmTables, type Mm, type MmTables } from '../mm/mm.ts';
import {
  registerShrinkerType,
  SHRINKER_TYPE_SUPER,
  type ShrinkControl,
  type ShrinkerType,
} from '../mm/shrinker_ops.ts';
import { superShrinkerType } from '../mm/super_shrinker.ts';
import type { TortureContext } from './job.ts';
import {
  bindTorture,
  machineConfig,
  napOffline,
  REST_WORDS,
  type RestTables,
  type RestThread,
} from './shrinker_tables.ts';

/** Rows of groups, mounts; names that files have in a mount. */
export const MOUNT_GROUPS = 24;
export const MOUNTS = 20;
export const NAMES = 48;
/** Threads that open files and mount are on a simulated CPU of their own, as far as there are. */
const CPUS = 8;

/** The machine: objects run out at times, pages do not. */
export function mountConfig(policy: ShrinkerPolicy): MmConfig {
  return {
    ...machineConfig(16 << 20),
    cpus: CPUS,
    memcgsMax: MOUNT_GROUPS,
    shrinkersMax: 64,
    superBlocksMax: MOUNTS,
    dentriesMax: 1050,
    inodesMax: 600,
    shrinker: policy,
  };
}

/** Declares the tables. Pure. */
export function declareMountTorture(builder: ArenaBuilder, config: MmConfig) {
  // @atomic words of shrinker_tables.ts
  const { words } = builder.columns('torture.words', { words: 'i32' }, REST_WORDS);
  return { mm: declareMmTables(builder, config) as MmTables, words } satisfies RestTables;
}

export type MountTables = ReturnType<typeof declareMountTorture>;

/** What a thread of the torture works with. */
export interface MountThread extends RestThread {
  readonly t: MountTables;
}

/** Makes the worker a thread of the machine. */
export function enterMountTorture(
  t: MountTables,
  ctx: TortureContext,
  policy: ShrinkerPolicy,
): MountThread {
  const config = mountConfig(policy);
  // The keeper has none: kthreads have not.
  const cpu = ctx.id > 1 && ctx.id - 2 < CPUS ? ctx.id - 2 : -1;
  const m = bindTorture(t, ctx, config, cpu);
  registerShrinkerType(m, SHRINKER_TYPE_SUPER, watched(m, ctx));
  return { t, m, ctx };
}

/** The real callbacks, between two looks at whether their mount is there; at times they stall. */
function watched(m: Mm, ctx: TortureContext): ShrinkerType {
  const look = (sc: ShrinkControl, when: string): void => {
    const state = Atomics.load(m.fs.super.state, sc.arg);
    if (state === SB_FREE) ctx.fail(`a callback of mount ${sc.arg} ${when}, which is gone`);
  };
  const run = (sc: ShrinkControl, callback: () => number): number => {
    look(sc, 'begins');
    if (ctx.rarely(2048)) napOffline(ctx, ctx.prng.below(4));
    const result = callback();
    rcuMightSleep();
    rcuQuiescent();
    if (ctx.rarely(16)) ctx.spin(ctx.prng.below(200));
    look(sc, 'ends');
    return result;
  };
  return {
    countObjects: (_, sc) => run(sc, () => superShrinkerType.countObjects(m, sc)),
    scanObjects: (_, sc) => run(sc, () => superShrinkerType.scanObjects(m, sc)),
  };
}

/** The thread charges to a group from here on, if it is there; 0 for none. */
export function joinGroup({ m, ctx }: MountThread, group: number): void {
  if (!memcgTryGet(m, group)) return;
  const before = m.task.memcg;
  m.task.memcg = group;
  m.stock[ctx.id * LINE_WORDS + STOCK_TASK] = group;
  memcgPut(m, before);
}
