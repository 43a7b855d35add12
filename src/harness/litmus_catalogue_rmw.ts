// SPDX-License-Identifier: MIT
/**
 * Litmus tests of read-modify-write operations, and of wait and notify. The first kind is atomic
 * through and through, so its allowed outcomes are the sequentially consistent ones. Waits are
 * listed by hand: a waiter says 1 for 'ok', 2 for 'not-equal', 3 for 'timed-out'.
 */
import type { LitmusTest } from './litmus_test.ts';

const EXCHANGE: LitmusTest = {
  name: 'XCHG',
  question: 'exchange: do two threads take the same value?',
  cells: 1,
  forbidden: ['0 0', '2 1'],
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.exchange(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.exchange(m, x, 2);
    },
  ],
};

const EXCHANGE3: LitmusTest = {
  name: 'XCHG3',
  question: 'exchange: is a token lost or doubled among three threads?',
  cells: 1,
  registers: 4,
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.exchange(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.exchange(m, x, 2);
    },
    (m, x, _gap, out, at) => {
      out[at + 2] = Atomics.exchange(m, x, 3);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 3] = Atomics.load(m, x);
  },
};

const CAS: LitmusTest = {
  name: 'CAS',
  question: 'compare-and-exchange: do two threads win, or none?',
  cells: 1,
  registers: 3,
  forbidden: ['0 0 1', '0 0 2'],
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.compareExchange(m, x, 0, 1);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.compareExchange(m, x, 0, 2);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 2] = Atomics.load(m, x);
  },
};

const CAS_CHAIN: LitmusTest = {
  name: 'CAS+chain',
  question: 'compare-and-exchange on what another stores: does it succeed without it?',
  cells: 1,
  registers: 3,
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      out[at] = Atomics.compareExchange(m, x, 1, 2);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.compareExchange(m, x, 2, 3);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 2] = Atomics.load(m, x);
  },
};

const CAS_SB: LitmusTest = {
  name: 'SB+cas',
  question: 'store buffering with compare-and-exchange that fails for a load',
  forbidden: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = Atomics.compareExchange(m, x + gap, 7, 8);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 1);
      out[at + 1] = Atomics.compareExchange(m, x, 7, 8);
    },
  ],
};

const XCHG_SB: LitmusTest = {
  name: 'SB+xchg',
  question: 'store buffering with exchange for the stores',
  forbidden: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.exchange(m, x, 1);
      out[at] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      Atomics.exchange(m, x + gap, 1);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const ADD: LitmusTest = {
  name: 'ADD',
  question: 'add: is an increment lost?',
  cells: 1,
  registers: 3,
  forbidden: ['0 0 1', '0 0 2'],
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.add(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.add(m, x, 1);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 2] = Atomics.load(m, x);
  },
};

const ADD_SUB: LitmusTest = {
  name: 'ADD+SUB',
  question: 'add and sub: is one of them lost?',
  cells: 1,
  registers: 3,
  threads: [
    (m, x, _gap, out, at) => {
      Atomics.add(m, x, 5);
      out[at] = Atomics.sub(m, x, 3);
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.add(m, x, 1);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 2] = Atomics.load(m, x);
  },
};

const BITS: LitmusTest = {
  name: 'OR+AND+XOR',
  question: 'or, and, xor: does one undo the bit of another?',
  cells: 1,
  registers: 4,
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.or(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      Atomics.or(m, x, 2);
      out[at + 1] = Atomics.and(m, x, ~2);
    },
    (m, x, _gap, out, at) => {
      out[at + 2] = Atomics.xor(m, x, 4);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 3] = Atomics.load(m, x);
  },
};

const MP_ADD: LitmusTest = {
  name: 'MP+add',
  question: 'message passing with an addition for the flag',
  forbidden: ['1 0'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.add(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.add(m, x + gap, 0);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

/** A lost wake-up shows as a time-out. */
const WAIT: LitmusTest = {
  name: 'WAIT',
  question: 'wait and notify: is a wake-up lost? (waiter, threads woken)',
  cells: 1,
  batch: 128,
  allowed: ['1 1', '2 0'],
  forbidden: ['3 0', '3 1'],
  threads: [
    (m, x, _gap, out, at) => {
      const how = Atomics.wait(m, x, 0, 2000);
      out[at] = how === 'ok' ? 1 : how === 'not-equal' ? 2 : 3;
    },
    (m, x, _gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at + 1] = Atomics.notify(m, x);
    },
  ],
};

const WAIT_MP: LitmusTest = {
  name: 'WAIT+MP',
  question: 'is a plain message, stored before the word that the waiter watches, missed?',
  batch: 128,
  allowed: ['1 1', '2 1'],
  forbidden: ['1 0', '2 0', '3 0', '3 1'],
  threads: [
    (m, x, gap) => {
      m[x + gap] = 1;
      Atomics.store(m, x, 1);
      Atomics.notify(m, x);
    },
    (m, x, gap, out, at) => {
      const how = Atomics.wait(m, x, 0, 2000);
      out[at] = how === 'ok' ? 1 : how === 'not-equal' ? 2 : 3;
      out[at + 1] = m[x + gap] as number;
    },
  ],
};

/** With a count of one, exactly one of two sleepers goes on; the other has to time out. */
const WAIT_ONE: LitmusTest = {
  name: 'WAIT+one',
  question:
    'a notify without a store: does it wake one that it did not count, or none that it did?',
  cells: 1,
  batch: 32,
  allowed: ['1 1', '3 0'],
  forbidden: ['1 0', '3 1'],
  threads: [
    (m, x, _gap, out, at) => {
      const how = Atomics.wait(m, x, 0, 0.2);
      out[at] = how === 'ok' ? 1 : how === 'not-equal' ? 2 : 3;
    },
    (m, x, _gap, out, at) => {
      out[at + 1] = Atomics.notify(m, x, 1);
    },
  ],
};

const WAIT_ALL: LitmusTest = {
  name: 'WAIT+all',
  question: 'two waiters, one notify for all: does one stay behind?',
  cells: 1,
  registers: 2,
  batch: 128,
  allowed: ['1 1', '1 2', '2 1', '2 2'],
  forbidden: ['1 3', '3 1', '2 3', '3 2', '3 3'],
  threads: [
    (m, x, _gap, out, at) => {
      const how = Atomics.wait(m, x, 0, 2000);
      out[at] = how === 'ok' ? 1 : how === 'not-equal' ? 2 : 3;
    },
    (m, x, _gap, out, at) => {
      const how = Atomics.wait(m, x, 0, 2000);
      out[at + 1] = how === 'ok' ? 1 : how === 'not-equal' ? 2 : 3;
    },
    (m, x) => {
      Atomics.store(m, x, 1);
      Atomics.notify(m, x);
    },
  ],
};

/** Two bytes of one word, each with an owner that changes it atomically. */
const BYTES: LitmusTest<Uint8Array<SharedArrayBuffer>> = {
  name: 'ADD+bytes',
  question: 'atomic additions to neighbouring bytes: does one disturb the other?',
  cells: 1,
  registers: 2,
  view: (buffer) => new Uint8Array(buffer),
  allowed: ['255 2'],
  forbidden: ['0 2', '255 1', '255 3'],
  threads: [
    (m, x) => {
      Atomics.sub(m, x, 1);
    },
    (m, x) => {
      Atomics.add(m, x + 1, 1);
      Atomics.add(m, x + 1, 1);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at] = Atomics.load(m, x);
    out[at + 1] = Atomics.load(m, x + 1);
  },
};

/** Tests of read-modify-write operations. */
export const RMW_TESTS = [
  EXCHANGE,
  EXCHANGE3,
  CAS,
  CAS_CHAIN,
  CAS_SB,
  XCHG_SB,
  ADD,
  ADD_SUB,
  BITS,
  MP_ADD,
  BYTES,
];

/** Tests of wait and notify. */
export const WAIT_TESTS = [WAIT, WAIT_MP, WAIT_ONE, WAIT_ALL];
