// SPDX-License-Identifier: GPL-2.0-only
/** Shrinkers that come and go beside reclaim, under every policy. */
import { openSubject } from './subject.mjs';
import { shrinkerMachine } from './shrinker_machine.mjs';

const plants = {
  leak: {
    says: 'flaw: a shrinker that has nothing in groups, as objects are not accounted, is not put',
    twin: true,
    variant: 'lockless-fixed_nokmem',
  },
  'early-clear': {
    says: 'flaw: the bit of a shrinker that is not registered yet is cleared',
    twin: true,
    variant: 'lockless-fixed_register',
  },
  'stale-clear': {
    says: 'flaw: a bit is cleared although its id has a new owner',
    twin: true,
    variant: 'lockless-fixed_reuse',
  },
};

const subject = await openSubject(import.meta.url, plants);
const machine = await shrinkerMachine(subject, plants);
const { thread, perPolicy, alloc, register, add, free, shrink } = machine;

/** A registered shrinker with an object in group 1. */
function standing(m) {
  const s = alloc(m, 0);
  register(m, 0, s);
  add(m, 1, 0, s);
}

function come(m) {
  const s = alloc(m, 1);
  add(m, 1, 1, s);
  register(m, 1, s);
}

const walker = thread('walker', (m) => shrink(m, 1));
const globalWalker = thread('globalWalker', (m) => shrink(m, 0));
const freer = thread('freer', (m) => free(m, 0, m.caches.row[0]));
const comer = thread('comer', come);
const adder = thread('adder', (m) => add(m, 1, 0, m.caches.row[0]));
const heir = thread('heir', (m) => {
  free(m, 0, m.caches.row[0]);
  come(m);
});

const spec = { first: standing };
const alone = { first: standing, rows: 1 };
const ways = {
  free: { says: 'a walk; one is freed', threads: [walker, freer], spec },
  global: { says: 'a walk of all; one is freed', threads: [globalWalker, freer], spec },
  nokmem: { says: 'the same, kmem off', threads: [walker, freer], spec: { ...spec, kmem: false } },
  register: { says: 'a walk; one comes', threads: [walker, comer], spec },
  add: { says: 'a walk; an object is added', threads: [walker, adder], spec },
  reuse: { says: 'a walk; one is freed, the next has its id', threads: [walker, heir], spec },
  row: { says: 'the same, with its row too', threads: [walker, heir], spec: alone },
  list: { says: 'a walk of all; the same', threads: [globalWalker, heir], spec: alone },
  walks: { says: 'two walks; one is freed', threads: [walker, walker, freer], spec, preemptions: 2 },
};

export const exploration = {
  subject: 'shrinker',
  asserts:
    'no callback runs when free has returned, nor with a row or an id that was given back; ' +
    'objects have their bit; no row is lost',
  plainData: false,
  plants,
  variants: perPolicy(ways),
};

export const { setup, threads, check, options } = subject.choose(exploration);
