// SPDX-License-Identifier: GPL-2.0-only
/**
 * The group `shrinker`: walks over shrinkers while shrinkers, groups and objects come and go, under
 * each policy. Broken variants: wrong use, and the flaws of the policy as posted, one by one.
 *
 * The type of the policy as posted holds what its flaws leave whole; what they explain is counted
 * and said, and is no failure:
 *
 *   lost bits            early-clear, stale-clear
 *   ledgers, new owners  stale-state, lost-work
 *
 * Its leak shows only where kernel objects are not accounted; the type of that name has such a
 * machine.
 */

import { bindMmTables } from '../mm/mm.ts';
import { mmInit } from '../mm/mm_init.ts';
import { EV } from '../mm/vmstat_items.ts';
import {
  countsOf,
  type RoleTally,
  sumOf,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';
import { MOUNT_TYPES } from './mounts.ts';
import { REST_HANG_MS } from './shrinker_barrier.ts';
import { installCallbacks } from './shrinker_cells.ts';
import { keeperBody } from './shrinker_checks.ts';
import { grouperBody } from './shrinker_groups.ts';
import { adderBody, churnerBody, type Share, walkerBody } from './shrinker_roles.ts';
import {
  CELL_FREE,
  CELLS,
  declareShrinkerTorture,
  enterShrinkerTorture,
  leaveTorture,
  type ShrinkerShape,
  type ShrinkerTables,
  type ShrinkerThread,
  shapeConfig,
  TIDE,
} from './shrinker_tables.ts';

const FIRST_ROLES = ['keeper', 'walker', 'churner', 'adder', 'grouper', 'walker'];
const MORE_ROLES = ['churner', 'walker', 'walker', 'adder', 'walker', 'grouper'];

function rolesOf(threads: number): string[] {
  return Array.from({ length: threads }, (_, at) => {
    const more = (at - FIRST_ROLES.length) % MORE_ROLES.length;
    return FIRST_ROLES[at] ?? (MORE_ROLES[more] as string);
  });
}

/** The cells of a churner: all are shared out. */
function shareOf(ctx: TortureContext): Share {
  const roles = rolesOf(ctx.threads);
  const churners = roles.filter((role) => role === 'churner').length;
  const rank = roles.slice(0, ctx.id - 1).filter((role) => role === 'churner').length;
  const each = Math.floor(CELLS / churners);
  return { first: rank * each, end: (rank + 1) * each };
}

function roleBody(thread: ShrinkerThread): Tally {
  const { ctx } = thread;
  if (ctx.role === 'keeper') return keeperBody(thread);
  if (ctx.role === 'churner') return churnerBody(thread, shareOf(ctx));
  if (ctx.role === 'adder') return adderBody(thread);
  if (ctx.role === 'grouper')
    return grouperBody(thread, ctx.id === FIRST_ROLES.indexOf('grouper') + 1);
  return walkerBody(thread);
}

/** What the engine has counted is what the callbacks have. */
function checkEvents({ m, ctx, count }: ShrinkerThread): void {
  const { events } = m.task;
  const pairs = [
    ['kr_shrink_count', events[EV.kr_shrink_count], count.counts],
    ['kr_shrink_scan', events[EV.kr_shrink_scan], count.scans],
    ['slabs_scanned', events[EV.slabs_scanned], count.scanned],
  ] as const;
  for (const [name, counted, seen] of pairs) {
    if (counted !== seen) ctx.fail(`${name} is ${counted}, callbacks say ${seen}`);
  }
}

function body(t: ShrinkerTables, ctx: TortureContext, shape: ShrinkerShape): Tally {
  const thread = enterShrinkerTorture(t, ctx, shape);
  let thrown = true;
  try {
    installCallbacks(thread);
    const tally = roleBody(thread);
    thrown = false;
    if (!ctx.failed) checkEvents(thread);
    const { events } = thread.m.task;
    const skipped = events[EV.kr_shrink_skipped] as number;
    const early = events[EV.kr_shrink_early] as number;
    return { ...tally, ...callTally(thread), skipped, early };
  } finally {
    leaveTorture(thread, thrown);
  }
}

function callTally({ count }: ShrinkerThread): Tally {
  const { walks, counts, scans, scanned, freed } = count;
  return { walks, counts, scans, scanned, objectsFreed: freed };
}

function init(t: ShrinkerTables, shape: ShrinkerShape): void {
  const memory = { buffer: t.words.buffer };
  const m = bindMmTables(t.mm, memory, shapeConfig(shape, false), 0, -1);
  mmInit(m);
  t.cell.state.fill(CELL_FREE);
  Atomics.store(t.words, TIDE, 128);
}

const excuses = [
  ['lostBits', 'lost bits'],
  ['ledgers', 'ledgers that do not add up'],
  ['ownerless', 'work put off by former owners of ids'],
] as const;

function judge(tallies: readonly RoleTally[]): Verdict {
  const sum = (name: string): number => sumOf(tallies, name);
  const made = (role: string): number => countsOf(tallies, role, 'made').reduce((a, b) => a + b, 0);
  const names = ['walks', 'counts', 'scans', 'objectsFreed', 'skipped', 'early'] as const;
  const [walks, counts, scans, objectsFreed, skipped, early] = names.map(sum);
  const churn = { made: made('churner'), freed: sum('freed'), unseen: sum('unseen') };
  const groups = { made: made('grouper'), removed: sum('removed'), released: sum('released') };
  const [barriers, idsMost, lowered] = [sum('barriers'), sum('idsMost'), sum('lowered')];
  const found = excuses.map(([name, what]) => [sum(name), what] as const).filter(([n]) => n > 0);
  const lines = [
    `walks: ${walks} count: ${counts} scan: ${scans} objects freed: ${objectsFreed}` +
      ` skipped: ${skipped} early: ${early}`,
    `shrinkers: made ${churn.made} freed ${churn.freed} never registered ${churn.unseen}` +
      ` ids: ${idsMost} objects added: ${sum('added')} times`,
    `groups: made ${groups.made} removed ${groups.removed} released ${groups.released}` +
      ` at rest: ${barriers} infos shortened: ${lowered}`,
    ...found.map(([n, what]) => `excused by the policy's flaws: ${n} ${what}`),
  ];
  const figures = {
    walks,
    counts,
    scans,
    objectsFreed,
    skipped,
    early,
    barriers,
    idsMost,
  } as Tally;
  return {
    lines,
    failures: [],
    counts: { ...figures, shrinkers: churn.made, groups: groups.made },
  };
}

/** Tries at the one flaw that needs three threads to meet within a few operations. */
const RARE_MS = [2000, 6000, 20_000];

function shrinkerType(name: string, shape: ShrinkerShape, busted: string) {
  return {
    name,
    busted,
    ...(shape.busted === 'stale-clear' ? { bustedMs: RARE_MS } : {}),
    threadsMin: 6,
    hangMs: REST_HANG_MS,
    roles: rolesOf,
    declare: (builder) => declareShrinkerTorture(builder, shapeConfig(shape, false)),
    init: (t) => init(t, shape),
    body: (t, ctx) => body(t, ctx, shape),
    judge: (_, tallies) => judge(tallies),
  } satisfies TortureType<ShrinkerTables>;
}

const FIXED = { policy: 'lockless-fixed', kmem: true } as const;

/** Types of the group. */
export const types = [
  shrinkerType(
    'shrinker_rwsem',
    { policy: 'rwsem', kmem: true, busted: 'poison' },
    'private data is given back before shrinkerFree returns',
  ),
  shrinkerType(
    'shrinker_srcu',
    { policy: 'srcu', kmem: true, busted: 'poison' },
    'private data is given back before shrinkerFree returns',
  ),
  shrinkerType(
    'shrinker_lockless',
    { policy: 'lockless', kmem: true, busted: 'put' },
    'a callback drops the reference that its walk holds',
  ),
  shrinkerType(
    'shrinker_fixed',
    { ...FIXED, busted: 'bit' },
    'the bit is set before the object is there',
  ),
  shrinkerType(
    'shrinker_leak',
    { policy: 'lockless-fixed', kmem: false, busted: 'leak' },
    'leak: a shrinker that does not run for a group is never put',
  ),
  shrinkerType(
    'shrinker_early_clear',
    { ...FIXED, busted: 'early-clear' },
    'early-clear: the bit of a shrinker that is not registered yet is cleared',
  ),
  shrinkerType(
    'shrinker_stale_clear',
    { ...FIXED, busted: 'stale-clear' },
    'stale-clear: a bit is cleared although its id has a new owner',
  ),
  shrinkerType(
    'shrinker_stale_state',
    { ...FIXED, busted: 'stale-state' },
    'stale-state: work put off falls to the next owner of the id',
  ),
  shrinkerType(
    'shrinker_lost_work',
    { ...FIXED, busted: 'lost-work' },
    'lost-work: work put off for a removed group stays there',
  ),
  ...MOUNT_TYPES,
] as readonly TortureType[];
