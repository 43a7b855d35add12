// SPDX-License-Identifier: MIT
/**
 * Litmus tests of atomic loads and stores: the shapes of the literature. All accesses are atomic
 * and of one size, so the allowed outcomes are the sequentially consistent ones; `forbidden` names
 * the outcome that gives each shape its point. x, y, z are cells, r0, r1, ... registers.
 */
import type { LitmusTest } from './litmus_test.ts';

const SB: LitmusTest = {
  name: 'SB',
  question: 'store buffering: can both threads miss the other store?',
  forbidden: ['0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 1);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const SB3: LitmusTest = {
  name: '3.SB',
  question: 'store buffering around three threads: can all miss?',
  cells: 3,
  registers: 3,
  forbidden: ['0 0 0'],
  threads: [
    (m, x, gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 1);
      out[at + 1] = Atomics.load(m, x + 2 * gap);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + 2 * gap, 1);
      out[at + 2] = Atomics.load(m, x);
    },
  ],
};

const MP: LitmusTest = {
  name: 'MP',
  question: 'message passing: is the flag seen and the message missed?',
  forbidden: ['1 0'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + gap);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const LB: LitmusTest = {
  name: 'LB',
  question: 'load buffering: do both loads see the store that comes after the other?',
  forbidden: ['1 1'],
  threads: [
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = Atomics.load(m, x + gap);
      Atomics.store(m, x, 1);
    },
  ],
};

const S: LitmusTest = {
  name: 'S',
  question: 'is a store overwritten by one that came before it?',
  registers: 2,
  forbidden: ['1 2'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 2);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + gap);
      Atomics.store(m, x, 1);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = Atomics.load(m, x);
  },
};

const R: LitmusTest = {
  name: 'R',
  question: 'do stores to one cell and a load of another disagree on the order?',
  registers: 2,
  forbidden: ['0 2'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 2);
      out[at] = Atomics.load(m, x);
    },
  ],
  observe: (m, x, gap, out, at) => {
    out[at + 1] = Atomics.load(m, x + gap);
  },
};

const W2: LitmusTest = {
  name: '2+2W',
  question: 'do two pairs of stores end in an order that neither thread made?',
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
    out[at] = Atomics.load(m, x);
    out[at + 1] = Atomics.load(m, x + gap);
  },
};

const W3: LitmusTest = {
  name: '3.2W',
  question: 'three pairs of stores around three cells: is the end a circle?',
  cells: 3,
  registers: 3,
  forbidden: ['1 1 1'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x + gap, 2);
    },
    (m, x, gap) => {
      Atomics.store(m, x + gap, 1);
      Atomics.store(m, x + 2 * gap, 2);
    },
    (m, x, gap) => {
      Atomics.store(m, x + 2 * gap, 1);
      Atomics.store(m, x, 2);
    },
  ],
  observe: (m, x, gap, out, at) => {
    out[at] = Atomics.load(m, x);
    out[at + 1] = Atomics.load(m, x + gap);
    out[at + 2] = Atomics.load(m, x + 2 * gap);
  },
};

const WRC: LitmusTest = {
  name: 'WRC',
  question: 'write to read causality: is what another thread saw and passed on missed?',
  registers: 3,
  forbidden: ['1 1 0'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = Atomics.load(m, x + gap);
      out[at + 2] = Atomics.load(m, x);
    },
  ],
};

const RWC: LitmusTest = {
  name: 'RWC',
  question: 'read to write causality: does a third thread miss what the second saw?',
  registers: 3,
  forbidden: ['1 0 0'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x);
      out[at + 1] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      Atomics.store(m, x + gap, 1);
      out[at + 2] = Atomics.load(m, x);
    },
  ],
};

const ISA2: LitmusTest = {
  name: 'ISA2',
  question: 'a message passed on by a third thread: is it missed?',
  cells: 3,
  registers: 3,
  forbidden: ['1 1 0'],
  threads: [
    (m, x, gap) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x + gap);
      Atomics.store(m, x + 2 * gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at + 1] = Atomics.load(m, x + 2 * gap);
      out[at + 2] = Atomics.load(m, x);
    },
  ],
};

const IRIW: LitmusTest = {
  name: 'IRIW',
  question: 'independent reads of independent writes: do two readers disagree on the order?',
  registers: 4,
  forbidden: ['1 0 1 0'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x, gap) => {
      Atomics.store(m, x + gap, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m, x);
      out[at + 1] = Atomics.load(m, x + gap);
    },
    (m, x, gap, out, at) => {
      out[at + 2] = Atomics.load(m, x + gap);
      out[at + 3] = Atomics.load(m, x);
    },
  ],
};

const CORR: LitmusTest = {
  name: 'CoRR',
  question: 'coherence: do two loads of one cell go back in time?',
  cells: 1,
  forbidden: ['1 0'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x, _gap, out, at) => {
      out[at] = Atomics.load(m, x);
      out[at + 1] = Atomics.load(m, x);
    },
  ],
};

const CORR2: LitmusTest = {
  name: 'CoRR2',
  question: 'coherence: do two readers see two stores to one cell in different orders?',
  cells: 1,
  registers: 4,
  forbidden: ['1 2 2 1'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
    },
    (m, x) => {
      Atomics.store(m, x, 2);
    },
    (m, x, _gap, out, at) => {
      out[at] = Atomics.load(m, x);
      out[at + 1] = Atomics.load(m, x);
    },
    (m, x, _gap, out, at) => {
      out[at + 2] = Atomics.load(m, x);
      out[at + 3] = Atomics.load(m, x);
    },
  ],
};

const COWW: LitmusTest = {
  name: 'CoWW',
  question: 'coherence: do two stores of one thread to one cell land in the wrong order?',
  cells: 1,
  forbidden: ['0 1', '2 1'],
  threads: [
    (m, x) => {
      Atomics.store(m, x, 1);
      Atomics.store(m, x, 2);
    },
    (m, x, _gap, out, at) => {
      out[at] = Atomics.load(m, x);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = Atomics.load(m, x);
  },
};

const COWR: LitmusTest = {
  name: 'CoWR',
  question: 'coherence: does a thread miss its own store?',
  cells: 1,
  forbidden: ['0 1', '2 1'],
  threads: [
    (m, x, _gap, out, at) => {
      Atomics.store(m, x, 1);
      out[at] = Atomics.load(m, x);
    },
    (m, x) => {
      Atomics.store(m, x, 2);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = Atomics.load(m, x);
  },
};

const CORW: LitmusTest = {
  name: 'CoRW',
  question: 'coherence: is a store ordered before the one that a load before it saw?',
  cells: 1,
  forbidden: ['2 2', '1 1'],
  threads: [
    (m, x, _gap, out, at) => {
      out[at] = Atomics.load(m, x);
      Atomics.store(m, x, 1);
    },
    (m, x) => {
      Atomics.store(m, x, 2);
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at + 1] = Atomics.load(m, x);
  },
};

/** Tests whose accesses are all atomic loads and stores. */
export const ATOMIC_TESTS = [
  SB,
  SB3,
  MP,
  LB,
  S,
  R,
  W2,
  W3,
  WRC,
  RWC,
  ISA2,
  IRIW,
  CORR,
  CORR2,
  COWW,
  COWR,
  CORW,
];
