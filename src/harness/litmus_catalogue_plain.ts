// SPDX-License-Identifier: MIT
/**
 * Litmus tests with plain accesses, and with plain and atomic ones mixed.
 *
 * What the ECMAScript model says of them. A plain load may see any store to its cell but one that
 * is ordered after it, and one that is hidden by another between them, where "ordered" means
 * happens-before: program order, and from an atomic store to the atomic load (of the same cell and
 * size) that sees it. Nothing else orders plain accesses, not even two loads of one cell. So
 *
 *   all plain        every combination of values is allowed
 *   plain data, atomic flag      the message is seen: that is what atomics are for
 *   atomic data, plain flag      the message may be missed
 *
 * `interesting` are the outcomes that no interleaving gives. On x86-64 only store buffering shows,
 * unless the compiler moves an access.
 */
import type { LitmusTest } from './litmus_test.ts';

/** Every combination of the values that the registers can have. */
function combinations(...values: readonly (readonly number[])[]): string[] {
  return values.reduce<string[]>(
    (before, some) => before.flatMap((text) => some.map((one) => `${text} ${one}`.trim())),
    [''],
  );
}

const BIT = [0, 1];

const SB: LitmusTest = {
  name: 'SB+plain',
  question: 'store buffering, plain: can both threads miss the other store?',
  allowed: combinations(BIT, BIT),
  interesting: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      m[x] = 1;
      out[at] = m[x + gap] as number;
    },
    (m, x, gap, out, at) => {
      m[x + gap] = 1;
      out[at + 1] = m[x] as number;
    },
  ],
};

const SB_STORES: LitmusTest = {
  name: 'SB+atomic-stores',
  question: 'store buffering, atomic stores and plain loads',
  allowed: combinations(BIT, BIT),
  interesting: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = m[x + gap] as number;
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 1);
      out[at + 1] = m[x] as number;
    },
  ],
};

const SB_LOADS: LitmusTest = {
  name: 'SB+atomic-loads',
  question: 'store buffering, plain stores and atomic loads',
  allowed: combinations(BIT, BIT),
  interesting: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      m[x] = 1;
      out[at] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      m[x + gap] = 1;
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const SB_ONE: LitmusTest = {
  name: 'SB+one-plain',
  question: 'store buffering where one thread is plain',
  allowed: combinations(BIT, BIT),
  interesting: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      m[x + gap] = 1;
      out[at + 1] = m[x] as number;
    },
  ],
};

const MP: LitmusTest = {
  name: 'MP+plain',
  question: 'message passing, plain: is the flag seen and the message missed?',
  allowed: combinations(BIT, BIT),
  interesting: ['1 0'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      m[x + gap] = 1;
    },
    (m, x, gap, out, at) => {
      out[at] = m[x + gap] as number;
      out[at + 1] = m[x] as number;
    },
  ],
};

const MP_FLAG: LitmusTest = {
  name: 'MP+atomic-flag',
  question: 'message passing, plain message and atomic flag: is the message missed?',
  allowed: ['0 0', '0 1', '1 1'],
  forbidden: ['1 0'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + gap);
      out[at + 1] = m[x] as number;
    },
  ],
};

const MP_TWO: LitmusTest = {
  name: 'MP+two-words',
  question: 'a plain message of two words behind an atomic exchange: is half of it missed?',
  cells: 3,
  registers: 3,
  allowed: combinations([0], BIT, BIT).concat('1 1 1'),
  forbidden: ['1 0 1', '1 1 0', '1 0 0'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      m[x + gap] = 1;
      Atomics.exchange(m, x + 2 * gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + 2 * gap);
      out[at + 1] = m[x] as number;
      out[at + 2] = m[x + gap] as number;
    },
  ],
};

const MP_DATA: LitmusTest = {
  name: 'MP+plain-flag',
  question: 'message passing, atomic message and plain flag: is the message missed?',
  allowed: combinations(BIT, BIT),
  interesting: ['1 0'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      m[x + gap] = 1;
    },
    (m, x, gap, out, at) => {
      out[at] = m[x + gap] as number;
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const LB: LitmusTest = {
  name: 'LB+plain',
  question: 'load buffering, plain: do both loads see the store after the other?',
  allowed: combinations(BIT, BIT),
  interesting: ['1 1'],
  threads: [
    (m, x, gap, out, at) => {
      out[at] = m[x] as number;
      m[x + gap] = 1;
    },
    (m, x, gap, out, at) => {
      out[at + 1] = m[x + gap] as number;
      m[x] = 1;
    },
  ],
};

const CORR: LitmusTest = {
  name: 'CoRR+plain',
  question: 'two plain loads of one cell: do they go back in time?',
  cells: 1,
  allowed: combinations(BIT, BIT),
  interesting: ['1 0'],
  threads: [
    (m, x) => {
      m[x] = 1;
    },
    (m, x, _gap, out, at) => {
      out[at] = m[x] as number;
      out[at + 1] = m[x] as number;
    },
  ],
};

const COWW: LitmusTest = {
  name: 'CoWW+plain',
  question: 'two plain stores of one thread to one cell: which one stays?',
  cells: 1,
  allowed: ['0 2', '1 2', '2 2'],
  forbidden: ['0 1', '1 1', '2 1'],
  threads: [
    (m, x) => {
      m[x] = 1;
      m[x] = 2;
    },
    (m, x, _gap, out, at) => {
      out[at] = m[x] as number;
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = m[x] as number;
  },
};

const W2: LitmusTest = {
  name: '2+2W+plain',
  question: 'two pairs of plain stores: do they end in an order that neither thread made?',
  allowed: combinations([1, 2], [1, 2]),
  interesting: ['1 1'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      m[x + gap] = 2;
    },
    (m, x, gap) => {
      m[x + gap] = 1;
      m[x] = 2;
    },
  ],
  observe: (m, x, gap, out, at) => {
    out[at] = m[x] as number;
    out[at + 1] = m[x + gap] as number;
  },
};

const CORW: LitmusTest = {
  name: 'CoRW+plain',
  question: 'a plain load and then a plain store of one cell: does the load see the store?',
  cells: 1,
  allowed: combinations([0, 2], [1, 2]),
  interesting: ['2 2'],
  forbidden: ['1 1', '1 2'],
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = m[x] as number;
      m[x] = 1;
    },
    (m, x) => {
      m[x] = 2;
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = m[x] as number;
  },
};

const W2_OBSERVE: LitmusTest = {
  name: '2+2W+plain-observe',
  question: 'two pairs of atomic stores, looked at plainly at the end: is there one order of them?',
  forbidden: ['1 1'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x + gap, 2);
    },
    (m, x, gap) => {
      Atomics.store(m, x + gap, 1);
      Atomics.store(m, x, 2);
    },
  ],
  observe: (m, x, gap, out, at) => {
    out[at] = m[x] as number;
    out[at + 1] = m[x + gap] as number;
  },
};

/** Free of races, since the plain store comes before the flag; 7: the flag was not seen. */
const SB_START: LitmusTest = {
  name: 'SB+plain-start',
  question: 'store buffering on a cell that starts with a plain store behind an atomic flag',
  cells: 3,
  registers: 2,
  allowed: ['0 2', '1 1', '1 2', '7 1', '0 7', '7 7'],
  forbidden: ['0 1'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = 7;
      if (Atomics.load(m, x + gap) !== 1) return;
      Atomics.store(m, x, 2);
      out[at] = Atomics.load(m, x + 2 * gap);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = 7;
      if (Atomics.load(m, x + gap) !== 1) return;
      Atomics.store(m, x + 2 * gap, 1);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const WRC: LitmusTest = {
  name: 'WRC+plain-first',
  question: 'a plain store seen by a plain load and passed on atomically: may a third miss it?',
  registers: 3,
  allowed: combinations(BIT, BIT, BIT),
  interesting: ['1 1 0'],
  threads: [
    (m, x) => {
      m[x] = 1;
    },
    (m, x, gap, out, at) => {
      out[at] = m[x] as number;
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = Atomics.load(m, x + gap);
      out[at + 2] = m[x] as number;
    },
  ],
};

const ISA2: LitmusTest = {
  name: 'ISA2+plain-message',
  question: 'a plain message, passed on through two atomic flags: is it missed?',
  cells: 3,
  registers: 3,
  allowed: combinations(BIT, BIT, BIT).filter((outcome) => outcome !== '1 1 0'),
  forbidden: ['1 1 0'],
  threads: [
    (m, x, gap) => {
      m[x] = 1;
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + gap);
      Atomics.store(m, x + 2 * gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = Atomics.load(m, x + 2 * gap);
      out[at + 2] = m[x] as number;
    },
  ],
};

const IRIW: LitmusTest = {
  name: 'IRIW+plain',
  question: 'independent reads of independent writes, plain: do two readers disagree?',
  registers: 4,
  allowed: combinations(BIT, BIT, BIT, BIT),
  interesting: ['1 0 1 0'],
  threads: [
    (m, x) => {
      m[x] = 1;
    },
    (m, x, gap) => {
      m[x + gap] = 1;
    },
    (m, x, gap, out, at) => {
      out[at] = m[x] as number;
      out[at + 1] = m[x + gap] as number;
    },
    (m, x, gap, out, at) => {
      out[at + 2] = m[x + gap] as number;
      out[at + 3] = m[x] as number;
    },
  ],
};

/** The reader of a sequence lock that forgets that plain loads may move. */
const SEQLOCK: LitmusTest = {
  name: 'SEQLOCK+plain',
  question: 'a sequence lock over plain words (r0 = 1: the reader takes them for whole)',
  cells: 3,
  registers: 3,
  allowed: combinations(BIT, BIT, BIT),
  interesting: ['1 0 1', '1 1 0'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      m[x + gap] = 1;
      m[x + 2 * gap] = 1;
      Atomics.store(m, x, 2);
    },
    (m, x, gap, out, at) => {
      const before = Atomics.load(m, x);
      out[at + 1] = m[x + gap] as number;
      out[at + 2] = m[x + 2 * gap] as number;
      out[at] = (before & 1) === 0 && Atomics.load(m, x) === before ? 1 : 0;
    },
  ],
};

/** Data-race-free: the plain word is touched by the holder of the lock alone. */
const LOCKED: LitmusTest = {
  name: 'LOCK+plain',
  question: 'a plain counter under a try-lock: is an increment lost? (won, won, counter)',
  registers: 3,
  allowed: ['1 1 2', '1 0 1', '0 1 1'],
  forbidden: ['1 1 1', '0 0 0'],
  threads: [
    (m, x, gap, out, at) => {
      if (Atomics.compareExchange(m, x, 0, 1) !== 0) return;
      m[x + gap] = (m[x + gap] as number) + 1;
      Atomics.store(m, x, 0);
      out[at] = 1;
    },
    (m, x, gap, out, at) => {
      if (Atomics.compareExchange(m, x, 0, 2) !== 0) return;
      m[x + gap] = (m[x + gap] as number) + 1;
      Atomics.store(m, x, 0);
      out[at + 1] = 1;
    },
  ],
  observe: (m, x, gap, out, at) => {
    out[at + 2] = m[x + gap] as number;
  },
};

const COUNTER: LitmusTest = {
  name: 'COUNTER+plain',
  question: 'a plain counter, no lock: is an increment lost?',
  cells: 1,
  registers: 1,
  allowed: ['1', '2'],
  interesting: ['1'],
  forbidden: ['0'],
  threads: [
    (m, x) => {
      m[x] = (m[x] as number) + 1;
    },
    (m, x) => {
      m[x] = (m[x] as number) + 1;
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at] = m[x] as number;
  },
};

/** Tests with plain accesses. */
export const PLAIN_TESTS = [
  SB,
  SB_STORES,
  SB_LOADS,
  SB_ONE,
  MP,
  MP_FLAG,
  MP_TWO,
  MP_DATA,
  LB,
  CORR,
  COWW,
  CORW,
  W2,
  W2_OBSERVE,
  SB_START,
  WRC,
  ISA2,
  IRIW,
  SEQLOCK,
  LOCKED,
  COUNTER,
];
