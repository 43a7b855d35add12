// SPDX-License-Identifier: GPL-2.0-only
/** Groups that come, go and get longer maps beside reclaim, under every policy. */
import { CACHES, GENTLE, OBJECTS_PUT_OFF } from './shrinker_acts.mjs';
import { POLICIES, shrinkerMachine } from './shrinker_machine.mjs';
import { openSubject } from './subject.mjs';

/** For plants that show in plain accesses, which an exhaustive search of a plant does not order. */
const BY_CHANCE = { strategy: 'mix', iterations: 20_000 };

const plants = {
  'stale-state': {
    says: 'flaw: bits and put-off work of an id fall to its next owner',
    twin: true,
    flaw: true,
    variant: 'lockless-fixed_heir',
  },
  'lost-work': {
    says: 'flaw: work put off for a group that was removed stays there',
    twin: true,
    flaw: true,
    variant: 'lockless-fixed_offline',
  },
  copied_work: {
    says: 'work of a group that goes is copied to its parent, not moved',
    module: 'mm/shrinker_expand',
    edits: [
      [
        'Atomics.load(unitDeferred, at) && Atomics.exchange(unitDeferred, at, 0)',
        'Atomics.load(unitDeferred, at)',
      ],
    ],
    variant: 'lockless-fixed_offline',
  },
  blind_add: {
    says: 'who puts work off does not look whether the group goes',
    module: 'mm/shrinker_info',
    edits: [
      ['=== MEMCG_ONLINE)\n        return;', '=== MEMCG_ONLINE)\n        return;\n    return;'],
    ],
    variant: 'lockless-fixed_offline',
  },
  late_dying: {
    says: 'a group says that it goes when its work has been moved',
    twin: true,
    variant: 'lockless-fixed_offline',
  },
  early_info: {
    says: 'the old info is freed at once',
    module: 'mm/shrinker_expand',
    edits: [['callRcu(RCU_SHRINKER_INFO, chain);', 'freeInfoChain(m, chain);']],
    variant: 'lockless-fixed_grow',
    options: BY_CHANCE,
  },
  wiped_units: {
    says: 'a longer info begins with empty units',
    module: 'mm/shrinker_expand',
    edits: [
      [
        'allocUnits(m, lruvec, info, from, nrMax / SHRINKER_UNIT_BITS);',
        'allocUnits(m, lruvec, info, 0, nrMax / SHRINKER_UNIT_BITS);',
      ],
    ],
    variant: 'lockless-fixed_grow',
  },
  unlocked_online: {
    says: 'a group comes without shrinker_rwsem',
    module: 'mm/shrinker_expand',
    edits: [
      [
        `rwsemDownWrite(m.shrinker.rwsem, 0, LC_SHRINKER);
    const result = allocShrinkerInfoLocked(m, memcg);
    rwsemUpWrite(m.shrinker.rwsem, 0, LC_SHRINKER);`,
        'const result = allocShrinkerInfoLocked(m, memcg);',
      ],
    ],
    variant: 'lockless-fixed_growOnline',
    options: BY_CHANCE,
  },
};

/** A row that no scenario gets to. */
const PHANTOM = 70;

const subject = await openSubject(import.meta.url, plants);
const machine = await shrinkerMachine(subject, plants);
const {
  thread,
  perPolicy,
  alloc,
  register,
  add,
  free,
  shrink,
  online,
  kill,
  destroy,
  take,
  rcuBarrier,
} = machine;

/** A registered shrinker with so many objects in every group that a gentle pass puts work off. */
function standing(m) {
  const s = alloc(m, 0);
  register(m, 0, s);
  for (let g = 1; g < m.groups; g++) {
    if (m.memcg.state[g] === 0) continue;
    add(m, g, 0, s);
    m.caches.objects[g * CACHES] = OBJECTS_PUT_OFF;
  }
}

/** The maps have grown a moment ago, and the infos that they had wait for their grace period. */
function grown(m) {
  standing(m);
  register(m, 2, alloc(m, 2));
  m.shrinker.idr.fill(PHANTOM, 65, 128);
}

function come(m) {
  const s = alloc(m, 1);
  register(m, 1, s);
  add(m, 1, 1, s);
  rcuBarrier();
}

function offline(m, g) {
  kill(m, g);
  destroy(m, g);
}

const gentle = thread('gentle', (m) => shrink(m, 1, GENTLE));
const gentleBelow = thread('gentleBelow', (m) => shrink(m, 2, GENTLE));
const taker = thread('taker', (m) => take(m, 1, 0));
const adder = thread('adder', (m) => add(m, 1, 0, m.caches.row[0]));
const comer = thread('comer', come);
const freer = thread('freer', (m) => free(m, 0, m.caches.row[0]));
const heir = thread('heir', (m) => {
  free(m, 0, m.caches.row[0]);
  come(m);
});
const offliner = thread('offliner', (m) => offline(m, 1));
const offlinerBelow = thread('offlinerBelow', (m) => offline(m, 2));
const twoOffline = thread('twoOffline', (m) => {
  kill(m, 2);
  kill(m, 1);
  destroy(m, 2);
  destroy(m, 1);
});
const onliner = thread('onliner', (m) => {
  online(m, 2, 1);
  add(m, 2, 0, m.caches.row[0]);
});

const one = { first: standing };
const two = { first: standing, groups: 3 };
const born = { first: standing, groups: 3, unborn: 1 };
const long = { first: standing, idsTaken: 63 };
const again = { first: grown, idsTaken: 63, rows: PHANTOM };
const LOCKLESS = ['lockless-fixed'];
const ways = {
  takes: {
    says: 'work is put off; it is taken',
    threads: [gentle, taker],
    spec: one,
    suite: LOCKLESS,
  },
  heir: {
    says: 'work is put off; the id has a new owner',
    threads: [gentle, heir],
    spec: one,
    suite: LOCKLESS,
  },
  offline: {
    says: 'work is put off; the group goes',
    threads: [gentle, offliner],
    spec: one,
    suite: POLICIES,
  },
  below: {
    says: 'work is put off; the group goes, its parent stays',
    threads: [gentleBelow, offlinerBelow],
    spec: two,
    suite: LOCKLESS,
  },
  tree: {
    says: 'work is put off; the group and its parent go',
    threads: [gentleBelow, twoOffline],
    spec: two,
    suite: LOCKLESS,
  },
  leave: {
    says: 'a group goes; a shrinker is freed',
    threads: [offliner, freer],
    spec: one,
    preemptions: 3,
    suite: LOCKLESS,
  },
  grow: {
    says: 'work is put off; maps grow',
    threads: [gentle, comer],
    spec: long,
    suite: ['srcu', 'lockless-fixed'],
  },
  growTwice: {
    says: 'work is put off; maps grow when no info is left',
    threads: [gentle, comer],
    spec: again,
    preemptions: 2,
    suite: LOCKLESS,
  },
  growTwice2: {
    says: 'work is put off; maps grow when no info is left',
    threads: [gentle, comer],
    spec: again,
  },
  growLeave: { says: 'a group goes; the same', threads: [offliner, comer], spec: again },
  growAdd: {
    says: 'an object is added; maps grow',
    threads: [adder, comer],
    spec: long,
    suite: LOCKLESS,
  },
  growOffline: {
    says: 'a group goes; maps grow',
    threads: [offliner, comer],
    spec: long,
    preemptions: 2,
    suite: LOCKLESS,
  },
  growOnline: {
    says: 'a group comes; maps grow',
    threads: [onliner, comer],
    spec: { ...born, idsTaken: 63 },
    preemptions: 2,
    suite: LOCKLESS,
  },
  online: {
    says: 'a group comes; a walk of it',
    threads: [onliner, gentleBelow],
    spec: born,
    suite: LOCKLESS,
  },
  growOffline2: { says: 'a group goes; maps grow', threads: [offliner, comer], spec: long },
  growOnline2: {
    says: 'a group comes; maps grow',
    threads: [onliner, comer],
    spec: { ...born, idsTaken: 63 },
  },
  leave2: { says: 'a group goes; a shrinker is freed', threads: [offliner, freer], spec: one },
  offline3: {
    says: 'work is put off twice; the group goes',
    threads: [gentle, gentle, offliner],
    spec: one,
  },
  take3: {
    says: 'work is put off, and taken; the group goes',
    threads: [gentle, taker, offliner],
    spec: one,
  },
  tree3: {
    says: 'work is put off in a group and its parent; both go',
    threads: [gentleBelow, gentle, twoOffline],
    spec: two,
  },
  leave3: {
    says: 'work is put off; the group goes; the id has a new owner',
    threads: [gentle, offliner, heir],
    spec: one,
  },
  grow3: {
    says: 'work is put off; the group goes; maps grow',
    threads: [gentle, offliner, comer],
    spec: long,
  },
  online3: {
    says: 'work is put off; a group comes; maps grow',
    threads: [gentle, onliner, comer],
    spec: { ...born, idsTaken: 63 },
  },
};

export const exploration = {
  subject: 'shrinker_group',
  asserts:
    'work that was put off is there, or was taken; no info is used when freed, and none is lost; ' +
    'objects have their bit',
  plants,
  ...perPolicy(ways),
};

export const { setup, threads, check, options } = subject.choose(exploration);
