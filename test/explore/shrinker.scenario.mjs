// SPDX-License-Identifier: GPL-2.0-only
/** Shrinkers that come and go beside reclaim, under every policy. */

import { CACHES } from './shrinker_acts.mjs';
import { POLICIES, shrinkerMachine } from './shrinker_machine.mjs';
import { expect, openSubject } from './subject.mjs';

/** For plants that show in plain accesses, which an exhaustive search of a plant does not order. */
const BY_CHANCE = { strategy: 'mix', iterations: 20_000 };

const plants = {
  leak: {
    says: 'flaw: a shrinker that has nothing in groups, as objects are not accounted, is not put',
    twin: true,
    flaw: true,
    variant: 'lockless-fixed_nokmem',
  },
  'early-clear': {
    says: 'flaw: the bit of a shrinker that is not registered yet is cleared',
    twin: true,
    flaw: true,
    variant: 'lockless-fixed_register',
  },
  'stale-clear': {
    says: 'flaw: a bit is cleared although its id has a new owner',
    twin: true,
    flaw: true,
    variant: 'lockless-fixed_reuse',
  },
  no_complete: {
    says: 'the last put wakes nobody',
    module: 'mm/shrinker',
    edits: [['completeAll(m.shrinker.done, s);', ';']],
    variant: 'lockless-fixed_free',
  },
  no_wait: {
    says: 'free does not wait for the references',
    module: 'mm/shrinker',
    edits: [['completionWait(done, s);', '']],
    variant: 'lockless-fixed_free',
  },
  no_srcu_wait: {
    says: 'free does not wait for the SRCU sections',
    module: 'mm/shrinker',
    edits: [['shrinkerSrcu(m).synchronize();', '']],
    variant: 'srcu_free',
  },
  late_hide: {
    says: 'a shrinker is hidden after the SRCU grace period',
    module: 'mm/shrinker',
    edits: [
      ['hide(m, s);\n    Atomics.store(refcount, s, 0);\n    rwsemUp', 'rwsemUp'],
      ['shrinkerSrcu(m).synchronize();', 'shrinkerSrcu(m).synchronize(); hide(m, s);'],
    ],
    variant: 'srcu_free',
    options: BY_CHANCE,
  },
  no_write_side: {
    says: 'free does not take shrinker_rwsem',
    module: 'mm/shrinker',
    edits: [
      [
        `rwsemDownWrite(rwsem, 0, LC_SHRINKER);
    hide(m, s);
    Atomics.store(refcount, s, 0);
    dropId(m, s);
    rwsemUpWrite(rwsem, 0, LC_SHRINKER);`,
        'hide(m, s); dropId(m, s);',
      ],
    ],
    variant: 'rwsem_free',
  },
  blind_get: {
    says: 'a reference is taken although the count is 0',
    module: 'mm/shrink_kernel',
    edits: [['while (seen > 0 && seen < REFCOUNT_MAX) {', 'while (seen < REFCOUNT_MAX) {']],
    variant: 'lockless-fixed_free',
  },
  early_id: {
    says: 'the id is given back before the references have gone',
    module: 'mm/shrinker',
    edits: [
      ['completionWait(done, s);', 'dropId(m, s); completionWait(done, s);'],
      ['hide(m, s);\n    dropId(m, s);\n    rwsemUp', 'hide(m, s);\n    rwsemUp'],
    ],
    variant: 'lockless-fixed_free',
  },
  early_row: {
    says: 'a row is handed out while readers may still have it',
    module: 'mm/shrinker',
    edits: [['callRcu(RCU_SHRINKER, s);', 'freeRow(m, s);']],
    variant: 'lockless-fixed_other',
  },
  early_put: {
    says: 'a walk of all puts a shrinker, and looks for the next one after a quiescent state',
    module: 'mm/shrinker_lockless',
    edits: [
      ['import { rcuDereference,', 'import { rcuQuiescent, rcuDereference,'],
      [
        'rcuReadLock();\n        shrinkerPut(m, s);',
        'shrinkerPut(m, s); rcuQuiescent(); rcuReadLock();',
      ],
    ],
    variant: 'lockless-fixed_list',
    options: BY_CHANCE,
  },
  two_claims: {
    says: 'who frees looks first, and says so later',
    module: 'mm/shrinker',
    edits: [
      [
        'Atomics.compareExchange(flags, s, seen, seen | flag)',
        '(Atomics.or(flags, s, flag), seen)',
      ],
    ],
    variant: 'lockless-fixed_free2',
  },
  dead_register: {
    says: 'one that is being freed is registered',
    module: 'mm/shrinker',
    edits: [['SHRINKER_REGISTERED | SHRINKER_DYING) !== 0', 'SHRINKER_REGISTERED) !== 0']],
    variant: 'rwsem_registerFree',
  },
  half_registered: {
    says: 'free does not wait for the end of a registration',
    module: 'mm/shrinker',
    edits: [['waitForWriter(m);', ';']],
    variant: 'lockless-fixed_registerFree',
  },
  unlocked_register: {
    says: 'a registration looks before it takes shrinker_rwsem',
    module: 'mm/shrinker',
    edits: [
      [
        'rwsemDownWrite(rwsem, 0, LC_SHRINKER);\n    const claimed = claim(' +
          'm, s, SHRINKER_REGISTERED, SHRINKER_REGISTERED | SHRINKER_DYING) !== 0;',
        `const early = claim(m, s, SHRINKER_REGISTERED, SHRINKER_REGISTERED | SHRINKER_DYING);
    rwsemDownWrite(rwsem, 0, LC_SHRINKER);
    const claimed = early !== 0;`,
      ],
    ],
    variant: 'rwsem_registerFree',
  },
  early_look: {
    says: 'a file finds its shrinker before that is kept from going',
    module: 'mm/shrinker_debug',
    edits: [
      [
        `const run = () => {
        const s = shrinkerOfDir(m, dir);`,
        `const s = shrinkerOfDir(m, dir);
    const run = () => {`,
      ],
    ],
    variant: 'rwsem_debug',
  },
  no_recount: {
    says: 'objects are not counted again when the bit is clear',
    module: 'mm/shrinker_one',
    edits: [['const again = doShrinkSlab(m, control, priority);', 'const again = SHRINK_EMPTY;']],
    variant: 'lockless-fixed_add',
  },
  late_clear: {
    says: 'the bit is cleared after the second count',
    module: 'mm/shrinker_one',
    edits: [
      ['clearShrinkerBit(m, unit, id);\n    const again', 'const again'],
      ['if (again === SHRINK_EMPTY)', 'clearShrinkerBit(m, unit, id); if (again === SHRINK_EMPTY)'],
    ],
    variant: 'lockless-fixed_add',
  },
};

const subject = await openSubject(import.meta.url, plants);
const machine = await shrinkerMachine(subject, plants);
const { thread, perPolicy, alloc, register, add, free, shrink, check: settled } = machine;
const { tryFree, tryRegister, debugScan } = machine;

/** Of the shrinker that is there at the start. */
const FIRST_ROW = 1;

/** A registered shrinker with an object in group 1. */
function standing(m) {
  const s = alloc(m, 0);
  register(m, 0, s);
  add(m, 1, 0, s);
}

/** A registered shrinker with a bit in group 1, and no object. */
function empty(m) {
  standing(m);
  m.caches.objects[CACHES] = 0;
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
const stranger = thread('stranger', (m) => {
  free(m, 0, m.caches.row[0]);
  register(m, 1, alloc(m, 1, 0));
});

/** A shrinker that nobody has registered yet. */
function made(m) {
  expect(alloc(m, 0) === FIRST_ROW, 'the first row is another');
}

const rivalFreer = thread('rivalFreer', (m) => tryFree(m, 0, FIRST_ROW));
const rivalRegistrar = thread('rivalRegistrar', (m) => tryRegister(m, 0, FIRST_ROW));

/** As `standing`, with the group where a walk of groups finds it. */
function found(m) {
  standing(m);
  m.memcg.serial[1] = 1;
  m.memcg.firstChild[0] = 1;
}

const fileWriter = thread('fileWriter', (m) => debugScan(m, 1, 0, FIRST_ROW));
const namesake = thread('namesake', (m) => {
  free(m, 0, FIRST_ROW);
  const s = alloc(m, 1, 0);
  expect(s === FIRST_ROW, 'the row is not used again');
  m.caches.objects[1] = 1;
  register(m, 1, s);
});

/** Two that are registered, each with an object of its own; the second one stays. */
function pair(m) {
  for (const cache of [0, 2]) {
    register(m, cache, alloc(m, cache));
    m.caches.objects[cache] = 1;
  }
}

/** A walk of all misses nobody who was there before it and is after it. */
function missesNone(state) {
  settled(state);
  if (state.policy !== 'lockless-fixed') return;
  expect(state.caches.objects[2] === 0, 'a walk of all missed a shrinker');
}

/** One of the two that free it does; and it is freed only then. */
function freedOnce(state) {
  settled(state);
  expect(state.caches.freed[0] === 1, `freed ${state.caches.freed[0]} times`);
}

/** What is written for one is not another's. */
function scannedNone(state) {
  settled(state);
  expect(state.caches.objects[1] === 1, 'a scan of the next owner of the row');
}

/** One of the two that register it does. */
function registeredOnce(state) {
  settled(state);
  expect(state.caches.row[0] === FIRST_ROW, 'nobody has registered it');
}

const LOCKLESS = ['lockless-fixed'];
const spec = { first: standing };
const alone = { first: standing, rows: 1 };
const ways = {
  free: { says: 'a walk; one is freed', threads: [walker, freer], spec, suite: POLICIES },
  global: {
    says: 'a walk of all; one is freed',
    threads: [globalWalker, freer],
    spec,
    suite: POLICIES,
  },
  free2: {
    says: 'two free the same',
    threads: [rivalFreer, rivalFreer],
    spec,
    check: freedOnce,
    suite: POLICIES,
  },
  register2: {
    says: 'two register the same',
    threads: [rivalRegistrar, rivalRegistrar],
    spec: { first: made },
    check: registeredOnce,
    suite: LOCKLESS,
  },
  registerFree: {
    says: 'one is registered; it is freed',
    threads: [rivalRegistrar, rivalFreer],
    spec: { first: made },
    check: freedOnce,
    suite: POLICIES,
  },
  registerFree3: {
    says: 'a walk; one is registered; it is freed',
    threads: [walker, rivalRegistrar, rivalFreer],
    spec: { first: made },
    check: freedOnce,
  },
  debug: {
    says: 'a scan by its file; one is freed, another has its row',
    threads: [fileWriter, namesake],
    spec: { first: found, rows: 1 },
    check: scannedNone,
    suite: POLICIES,
  },
  nokmem: {
    says: 'a walk; one is freed; kmem off',
    threads: [walker, freer],
    spec: { ...spec, kmem: false },
    suite: LOCKLESS,
  },
  register: { says: 'a walk; one comes', threads: [walker, comer], spec, suite: POLICIES },
  add: {
    says: 'a walk; an object is added',
    threads: [walker, adder],
    spec: { first: empty },
    suite: LOCKLESS,
  },
  reuse: {
    says: 'a walk; one is freed, the next has its id',
    threads: [walker, heir],
    spec,
    suite: ['srcu', 'lockless-fixed'],
  },
  row: {
    says: 'a walk; one is freed, the next has its id and row',
    threads: [walker, heir],
    spec: alone,
    suite: LOCKLESS,
  },
  other: {
    says: 'a walk; one is freed, one without an id has its row',
    threads: [walker, stranger],
    spec: alone,
    suite: LOCKLESS,
  },
  list: {
    says: 'a walk of all; one is freed, the next has its row, behind another',
    threads: [globalWalker, heir],
    spec: { first: pair },
    check: missesNone,
    suite: LOCKLESS,
  },
  walks: {
    says: 'two walks; one is freed',
    threads: [walker, walker, freer],
    spec,
    preemptions: 2,
    suite: LOCKLESS,
  },
  walks3: { says: 'two walks; one is freed', threads: [walker, walker, freer], spec },
  walksAll3: {
    says: 'two walks, one of all; one is freed',
    threads: [walker, globalWalker, freer],
    spec,
  },
  heir3: {
    says: 'two walks; id and row have a new owner',
    threads: [walker, walker, heir],
    spec: alone,
  },
  list3: {
    says: 'two walks of all; one is freed, the next has its row, behind another',
    threads: [globalWalker, globalWalker, heir],
    spec: { first: pair },
    check: missesNone,
  },
  comes3: { says: 'a walk; one is freed; one comes', threads: [walker, freer, comer], spec },
  add3: {
    says: 'two walks; an object is added',
    threads: [walker, walker, adder],
    spec: { first: empty },
  },
  addFree3: {
    says: 'a walk; an object is added; one comes',
    threads: [walker, adder, comer],
    spec: { first: empty },
  },
};

export const exploration = {
  subject: 'shrinker',
  asserts:
    'no callback runs when free has returned, nor with a row or an id that was given back; ' +
    'objects have their bit; a walk of all misses nobody who stays; no row is lost',
  plants,
  ...perPolicy(ways),
};

export const { setup, threads, check, options } = subject.choose(exploration);
