// SPDX-License-Identifier: GPL-2.0-only
/** Sparse table: lookups without a lock beside writers under one; tables that share a pool. */
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  no_grace: { says: 'a node that was taken out is reused at once', twin: true, variant: 'reuse' },
  cleared_root: {
    says: 'the old root forgets its child when the tree shrinks',
    module: 'xarray',
    edits: [
      [
        'Atomics.store(this.#heads, this.#at, ((height - 1) << HEIGHT_SHIFT) | child);',
        `Atomics.store(this.#heads, this.#at, ((height - 1) << HEIGHT_SHIFT) | child);
         Atomics.store(slots, root * XA_SLOTS, 0);`,
      ],
    ],
  },
  early_child: {
    says: 'the tree grows before the new root knows its child',
    module: 'xarray',
    edits: [
      ['slots[node * XA_SLOTS] = old;', ''],
      [
        'head = ((height + 1) << HEIGHT_SHIFT) | node;\n' +
          '            Atomics.store(this.#heads, this.#at, head);',
        `head = ((height + 1) << HEIGHT_SHIFT) | node;
         Atomics.store(this.#heads, this.#at, head);
         Atomics.store(slots, node * XA_SLOTS, old);`,
      ],
    ],
  },
  early_unlock: {
    says: 'a node is taken from the pool after the lock was let go',
    module: 'xarray_pool',
    edits: [
      [
        `const node = words[POOL_FREE];
    if (node !== 0) {`,
        `const node = words[POOL_FREE];
    spinUnlock(words, POOL_LOCK, pool.cls);
    if (node !== 0) {`,
      ],
      [
        `Atomics.add(words, POOL_USED, 1);
    }
    spinUnlock(words, POOL_LOCK, pool.cls);`,
        `Atomics.add(words, POOL_USED, 1);
    }`,
      ],
    ],
    variant: 'pool',
  },
};

const { begin, choose, load, plant } = await openSubject(import.meta.url, plants);
const { declareXaPool, initXaPool, XA_NONE, Xarray, xaFreeNode, xaPoolUsed } = await load('xarray');
const { spinLock, spinUnlock } = await load('spinlock');

const KEPT = 5;
const FAR = 64;
const FARTHER = 4100;
const NODES = 8;
const LOCK = 0;
const TAKEN_OUT = 1;

const valueAt = (index) => index + 1;

function tables(kept) {
  return () => {
    const made = sharedTables((builder) => ({
      pool: declareXaPool(builder, 'xa', NODES),
      heads: builder.columns('heads', { heads: 'i32' }, 2).heads,
      words: builder.columns('words', { words: 'i32' }, 4).words,
    }));
    initXaPool(made.pool);
    if (kept) new Xarray(made.pool, made.heads, 0).store(KEPT, valueAt(KEPT));
    return made;
  };
}

/** A table whose nodes, once taken out, wait for a grace period that lasts until the end. */
function waiting({ pool, heads, words }) {
  return new Xarray(pool, heads, 0, (node) => {
    if (plant === 'no_grace') xaFreeNode(pool, node);
    else words[TAKEN_OUT]++;
  });
}

/** Makes the tree grow and shrink, once for each index. */
function writer(...indices) {
  return function write(state, context) {
    begin(context);
    const xa = waiting(state);
    for (const index of indices) {
      expect(xa.store(index, valueAt(index)), 'the pool is empty');
      expect(xa.erase(index) === valueAt(index), 'an entry was lost');
    }
  };
}

function stored(state, context) {
  begin(context);
  const xa = waiting(state);
  expect(xa.store(FAR, valueAt(FAR)), 'the pool is empty');
}

function look(xa, index) {
  const value = xa.load(index);
  expect(value === 0 || value === valueAt(index), `index ${index} holds ${value}`);
  return value;
}

function reader(state, context) {
  begin(context);
  const xa = waiting(state);
  expect(look(xa, KEPT) !== 0, 'an entry that was there all the time was not found');
  look(xa, FAR);
  expect(xa.next(KEPT) === KEPT, 'next passed an entry that was there all the time');
}

function lookup(state, context) {
  begin(context);
  look(waiting(state), FAR);
}

/** Searches beyond the entry that stays. */
function searcher(state, context) {
  begin(context);
  const found = waiting(state).next(FAR - 1);
  expect(found === FAR || found === XA_NONE, `next found ${found}`);
}

/** A writer of one of two tables, each under its own lock, that share the pool. */
function owner(...indices) {
  return function own({ pool, heads }, context) {
    begin(context);
    const xa = new Xarray(pool, heads, context.id);
    for (const index of indices) {
      expect(xa.store(index, valueAt(index)), 'the pool is empty');
      if (index !== indices.at(-1)) xa.erase(index);
    }
  };
}

/** A writer of the one table that all write, under its lock. */
function locked({ pool, heads, words }, context) {
  begin(context);
  const xa = new Xarray(pool, heads, 0);
  const index = context.id * 64;
  spinLock(words, LOCK, 0);
  expect(xa.store(index, valueAt(index)), 'the pool is empty');
  spinUnlock(words, LOCK, 0);
  spinLock(words, LOCK, 0);
  expect(xa.erase(index) === valueAt(index), 'an entry was lost');
  spinUnlock(words, LOCK, 0);
}

function shrunk(state) {
  const xa = new Xarray(state.pool, state.heads, 0);
  expect(xa.load(KEPT) === valueAt(KEPT) && xa.load(FAR) === 0, 'the table is not as it was');
  // As if its grace period had ended.
  const used = xaPoolUsed(state.pool) - state.words[TAKEN_OUT];
  expect(used === 1, `${used} nodes are in use, not 1`);
}

export const exploration = {
  subject: 'xarray',
  asserts: 'lookups find what was there all the time and never a wrong value; no node is lost',
  plants,
  variants: {
    two: {
      says: 'a lookup while the tree grows and shrinks',
      setup: tables(true),
      threads: [writer(FAR), reader],
      check: shrunk,
    },
    search: {
      says: 'a search while the tree grows',
      setup: tables(true),
      threads: [stored, searcher],
    },
    reuse: {
      says: 'a lookup while the tree grows and shrinks twice',
      setup: tables(true),
      threads: [writer(FAR, FARTHER), lookup],
      reduction: false,
      preemptions: 2,
      check: shrunk,
    },
    pool: {
      says: 'two writers of two tables that share a pool',
      setup: tables(false),
      threads: [owner(0), owner(9, 3)],
      check: ({ pool, heads }) => {
        expect(xaPoolUsed(pool) === 2, `${xaPoolUsed(pool)} nodes are in use, not 2`);
        for (const at of [0, 1]) {
          const xa = new Xarray(pool, heads, at);
          expect(xa.load(at * 3) === valueAt(at * 3), 'an entry was lost');
          expect(xa.load(3 - at * 3) === 0, 'tables share a node');
        }
      },
    },
    locked: {
      says: 'two writers of one table under its lock',
      setup: tables(false),
      threads: [locked, locked],
      check: ({ pool, heads }) => {
        expect(new Xarray(pool, heads, 0).empty && xaPoolUsed(pool) === 0, 'a node was lost');
      },
    },
    three: {
      says: 'two lookups while the tree grows and shrinks',
      setup: tables(true),
      threads: [writer(FAR), reader, reader],
      check: shrunk,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
