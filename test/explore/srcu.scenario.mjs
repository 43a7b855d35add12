// SPDX-License-Identifier: GPL-2.0-only
/** Sleepable RCU: no section that began before synchronize still runs after it. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedTables } from './subject.mjs';

/** Beyond the preemptions of the variant. */
const BY_CHANCE = { strategy: 'pct', iterations: 20_000 };

const plants = {
  one_drain: {
    says: 'readers that were delayed across the last flip are not waited for',
    module: 'srcu',
    edits: [['this.#drain(side ^ 1);', '']],
    variant: 'delayed',
  },
  enters_first: {
    says: 'enters are summed before leaves',
    module: 'srcu',
    edits: [
      [
        'sum -= Atomics.load(this.#counts, id * LINE_WORDS + at + LEAVE);',
        'sum += Atomics.load(this.#counts, id * LINE_WORDS + at + ENTER);',
      ],
      [
        'sum += Atomics.load(this.#counts, id * LINE_WORDS + at + ENTER);\n        return',
        'sum -= Atomics.load(this.#counts, id * LINE_WORDS + at + LEAVE);\n        return',
      ],
    ],
    variant: 'readers',
  },
  silent_leave: {
    says: 'a leave wakes nobody',
    module: 'srcu',
    edits: [['wakeUp(this.#words, QUEUE);', '']],
  },
  joins_running: {
    says: 'a grace period that began before is taken for one that began after',
    module: 'srcu',
    edits: [['(Atomics.load(words, GP_SEQ) + 3) & ~1', '(Atomics.load(words, GP_SEQ) + 2) & ~1']],
    variant: 'updaters',
    options: BY_CHANCE,
  },
  no_mutex: {
    says: 'two synchronize at once',
    module: 'srcu',
    edits: [
      ['mutexLock(words, SRCU_MUTEX, this.#cls);', ''],
      ['mutexUnlock(words, SRCU_MUTEX, this.#cls);', ''],
    ],
    variant: 'updaters',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { declareSrcu, SrcuDomain } = await load('srcu');

const POINTER = 0;
const OBJECT = 1;
const GOOD = 7;
const FREED = -1;

function tables() {
  const made = sharedTables((builder) => ({
    srcu: declareSrcu(builder, 'srcu'),
    words: builder.columns('test.words', { words: 'i32' }, 8).words,
  }));
  made.words[POINTER] = 1;
  made.words.fill(GOOD, OBJECT + 1, OBJECT + 4);
  return made;
}

function section(domain, words) {
  const side = domain.readLock();
  const object = Atomics.load(words, POINTER);
  expect(words[OBJECT + object] === GOOD, 'a pointer to an object that was freed');
  Atomics.load(words, POINTER); // others may run here
  expect(words[OBJECT + object] === GOOD, 'the object was freed while it was read');
  domain.readUnlock(side);
}

function reader(sections) {
  return function read({ srcu, words }, context) {
    begin(context);
    const domain = new SrcuDomain(srcu, 0, context.id + 1);
    for (let i = 0; i < sections; i++) section(domain, words);
    return elapsedMs();
  };
}

/** Sleeps in its section, until the updater says go. */
function updater(rounds) {
  return function update({ srcu, words }, context) {
    begin(context);
    const domain = new SrcuDomain(srcu, 0, context.id + 1);
    for (let object = 1; object <= rounds; object++) {
      Atomics.store(words, POINTER, object + 1);
      domain.synchronize();
      words[OBJECT + object] = FREED;
    }
    return elapsedMs();
  };
}

function synchronizer({ srcu }, context) {
  begin(context);
  new SrcuDomain(srcu, 0, context.id + 1).synchronize();
  return elapsedMs();
}

function prompt(_, results) {
  for (const ms of results) expect(ms < PROMPT_MS, `a sleep was ended by its time-out: ${ms} ms`);
}

export const exploration = {
  subject: 'srcu',
  asserts: 'no reader meets a freed object; every sleep of synchronize is ended by a wake-up',
  plants,
  variants: {
    two: {
      says: 'a reader of two sections, an updater',
      setup: tables,
      threads: [reader(2), updater(1)],
      check: prompt,
    },
    delayed: {
      says: 'a reader, an updater that synchronizes twice',
      setup: tables,
      threads: [reader(1), updater(2)],
      check: prompt,
    },
    readers: {
      says: 'two readers, an updater',
      setup: tables,
      threads: [reader(1), reader(1), updater(1)],
      preemptions: 3,
      check: prompt,
    },
    updaters: {
      says: 'a reader, an updater, another that synchronizes',
      setup: tables,
      threads: [reader(1), updater(1), synchronizer],
      preemptions: 2,
      check: prompt,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
