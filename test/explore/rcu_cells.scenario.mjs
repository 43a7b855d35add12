// SPDX-License-Identifier: GPL-2.0-only
/** Cells under RCU: one owner each, and whoever uses one after its grace period is told so. */
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  no_grace_period: {
    says: 'the updater frees the cell without waiting for its readers',
    module: 'rcu_cells',
    twin: true,
  },
  two_owners: {
    says: 'a cell is handed out by a load and a store',
    module: 'rcu_cells',
    edits: [
      [
        'if (Atomics.compareExchange(words, at, seen, next) === seen) {',
        'Atomics.store(words, at, next); {',
      ],
    ],
    variant: 'allocators',
  },
  blind_free: {
    says: 'a free does not look at the generation',
    module: 'rcu_cells',
    edits: [
      [
        'const seen = Atomics.compareExchange(this.#words, at, generation, generation | FREEING);',
        'const seen = generation; Atomics.store(this.#words, at, generation | FREEING);',
      ],
    ],
    variant: 'frees',
  },
  late_poison: {
    says: 'a cell may be handed out before it is poisoned',
    module: 'rcu_cells',
    edits: [['generation, generation | FREEING);', 'generation, generation + 1);']],
    variant: 'reuse',
  },
  early_look: {
    says: 'a read looks at the generation before the word, not after it',
    module: 'rcu_cells',
    edits: [
      [
        'const value = Atomics.load(this.#words, at + 1 + field);\n' +
          '        const seen = Atomics.load(this.#words, at);',
        'const seen = Atomics.load(this.#words, at);\n' +
          '        const value = Atomics.load(this.#words, at + 1 + field);',
      ],
    ],
    variant: 'late',
  },
};

const { begin, choose, load, plant } = await openSubject(import.meta.url, plants);
const { POISON_FREE, RcuCells, rcuCellsWords } = await load('rcu_cells');
const rcu = await load('rcu');
const { initRcu } = await load('rcu_table');

const POINTER = 0;
const CELLS = 1;
const GOOD = 7;

function tables() {
  const made = sharedTables((builder) => ({
    rcu: rcu.declareRcu(builder, { queueEntries: 2 }),
    words: builder.columns('test.words', { words: 'i32' }, CELLS + rcuCellsWords(2, 1)).words,
  }));
  initRcu(made.rcu);
  const cells = cellsOf(made);
  const first = cells.alloc();
  cells.write(first, 0, GOOD);
  made.words[POINTER] = first;
  return made;
}

function cellsOf({ words }) {
  return new RcuCells(words, CELLS, 2, 1);
}

/** Reads the object twice in one section. */
function reader(state, context) {
  begin(context);
  rcu.enterRcu(state.rcu, context.id + 1);
  const cells = cellsOf(state);
  rcu.rcuReadLock();
  const handle = rcu.rcuDereference(state.words, POINTER);
  for (let i = 0; i < 2; i++) expect(cells.read(handle, 0) === GOOD, 'a wrong value');
  rcu.rcuReadUnlock();
  rcu.leaveRcu();
}

/** Puts a new object in the place of the old one, and frees that. */
function updater(state, context) {
  begin(context);
  rcu.enterRcu(state.rcu, context.id + 1);
  const cells = cellsOf(state);
  const old = rcu.rcuDereference(state.words, POINTER);
  const next = cells.alloc();
  cells.write(next, 0, GOOD);
  rcu.rcuAssignPointer(state.words, POINTER, next);
  if (plant !== 'no_grace_period') rcu.synchronizeRcu();
  cells.free(old);
  rcu.leaveRcu();
}

/** @returns a handle on a cell that nobody else has */
function allocator(state, context) {
  begin(context);
  return cellsOf(state).alloc();
}

/** @returns true when it was the one that freed the cell */
function freer(state, context) {
  begin(context);
  try {
    cellsOf(state).free(state.words[POINTER]);
    return true;
  } catch (error) {
    expect(/frees cell 0 after its grace period/.test(error.message), error.message);
    return false;
  }
}

/** Takes a second cell if there is one, and finds in it what it wrote. */
function user(state, context) {
  begin(context);
  const cells = cellsOf(state);
  cells.alloc();
  const handle = cells.alloc();
  if (handle === 0) return;
  cells.write(handle, 0, GOOD + 1);
  expect(cells.read(handle, 0) === GOOD + 1, 'somebody wrote into a cell that is mine');
}

/** Reads with no regard for grace periods: it gets the value, or is told. */
function lateReader(state, context) {
  begin(context);
  try {
    return cellsOf(state).read(state.words[POINTER], 0);
  } catch (error) {
    expect(/reads cell 0 after its grace period/.test(error.message), error.message);
    return GOOD;
  }
}

export const exploration = {
  subject: 'rcu_cells',
  asserts: 'a cell has one owner; a use after its grace period, and a second free, are told.',
  plainData: false,
  plants,
  variants: {
    section: {
      says: 'a reader and an updater that waits',
      setup: tables,
      threads: [reader, updater],
    },
    allocators: {
      says: 'two that allocate, one cell left',
      setup: tables,
      threads: [allocator, allocator],
      check: (_, results) => expect(results.filter((handle) => handle !== 0).length === 1, 'two'),
    },
    frees: {
      says: 'two that free the same cell',
      setup: tables,
      threads: [freer, freer],
      check: ({ words }, results) => {
        expect(results.filter(Boolean).length === 1, `freed ${results}`);
        expect(words[CELLS + 1] === POISON_FREE, 'not poisoned');
      },
    },
    reuse: {
      says: 'a free beside one who waits for the cell',
      setup: tables,
      threads: [freer, user],
    },
    late: {
      says: 'a free under the eyes of two careless readers',
      setup: tables,
      threads: [lateReader, freer, lateReader],
      check: (_, results) => {
        for (const seen of [results[0], results[2]]) expect(seen === GOOD, `read ${seen}`);
      },
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
