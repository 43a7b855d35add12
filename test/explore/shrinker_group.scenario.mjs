// SPDX-License-Identifier: GPL-2.0-only
/** Groups that come, go and get longer maps beside reclaim, under every policy. */
import { openSubject } from './subject.mjs';
import { CACHES, GENTLE, OBJECTS_PUT_OFF, shrinkerMachine } from './shrinker_machine.mjs';

const plants = {
  'stale-state': {
    says: 'flaw: bits and put-off work of an id fall to its next owner',
    twin: true,
    variant: 'lockless-fixed_heir',
  },
  'lost-work': {
    says: 'flaw: work put off for a group that was removed stays there',
    twin: true,
    variant: 'lockless-fixed_offline',
  },
};

const subject = await openSubject(import.meta.url, plants);
const machine = await shrinkerMachine(subject, plants);
const { thread, perPolicy, alloc, register, add, free, shrink, online, kill, destroy, take } = machine;

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

function come(m) {
  const s = alloc(m, 1);
  register(m, 1, s);
  add(m, 1, 1, s);
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
const ways = {
  takes: { says: 'work is put off; it is taken', threads: [gentle, taker], spec: one },
  heir: { says: 'work is put off; the id has a new owner', threads: [gentle, heir], spec: one },
  offline: { says: 'work is put off; the group goes', threads: [gentle, offliner], spec: one },
  below: {
    says: 'work is put off; the group goes, its parent stays',
    threads: [gentleBelow, offlinerBelow],
    spec: two,
  },
  tree: {
    says: 'work is put off; the group and its parent go',
    threads: [gentleBelow, twoOffline],
    spec: two,
  },
  leave: { says: 'a group goes; a shrinker is freed', threads: [offliner, freer], spec: one, preemptions: 3 },
  grow: { says: 'a walk; maps grow', threads: [gentle, comer], spec: long },
  growAdd: { says: 'an object is added; maps grow', threads: [adder, comer], spec: long },
  growOffline: { says: 'a group goes; maps grow', threads: [offliner, comer], spec: long, preemptions: 2 },
  growOnline: { says: 'a group comes; maps grow', threads: [onliner, comer], spec: { ...born, idsTaken: 63 } },
  online: { says: 'a group comes; a walk of it', threads: [onliner, gentleBelow], spec: born },
};

export const exploration = {
  subject: 'shrinker_group',
  asserts:
    'work that was put off is there, or was taken; no info is used when freed, and none is lost; ' +
    'objects have their bit',
  plainData: false,
  plants,
  variants: perPolicy(ways),
};

export const { setup, threads, check, options } = subject.choose(exploration);
