// SPDX-License-Identifier: MIT
/**
 * Litmus tests of tearing: does a load see part of one store and part of another?
 *
 * The ECMAScript model forbids it (NoTear) for accesses through an integer typed array of up to 32
 * bits, and for every atomic access, among accesses of the same bytes. It permits it for a plain
 * access to a Float32Array, Float64Array, BigInt64Array or DataView, and wherever sizes or offsets
 * differ. Engines and cores do better than they must where a value is aligned; across a line of the
 * cache they do not.
 *
 * Two threads store A and B, a third loads: 0 for what was there at the start, 1 for A, 2 for B, 3
 * for a mixture of A and B, 4 for one of A or B with the start. The model rules out the mixture of
 * two stores; about one with the start, whose range is the whole block, it is silent.
 */
import type { LitmusTest, LitmusThread } from './litmus_test.ts';

const NEVER = {
  allowed: ['0', '1', '2'],
  interesting: ['4'],
  forbidden: ['3'],
} as const;
const MAY = { allowed: ['0', '1', '2', '3', '4'], interesting: ['3', '4'] } as const;

type IntegerView = Int32Array | Uint16Array | Uint8Array;

/** @param a, b values whose halves differ in every byte */
function integers(a: number, b: number): LitmusThread<IntegerView>[] {
  const half = a > 0xffff ? 16 : a > 0xff ? 8 : 4;
  const low = 2 ** half - 1;
  return [
    (m, x) => {
      m[x] = a;
    },
    (m, x) => {
      m[x] = b;
    },
    (m, x, _gap, out, at) => {
      const value = m[x] as number;
      if (value === 0) out[at] = 0;
      else if (value === a) out[at] = 1;
      else if (value === b) out[at] = 2;
      else out[at] = (value & low) === 0 || value >>> half === 0 ? 4 : 3;
    },
  ];
}

const one = { cells: 1, registers: 1 } as const;

const INT32: LitmusTest<IntegerView> = {
  ...one,
  ...NEVER,
  name: 'TEAR+i32',
  question: 'plain Int32Array: does a load mix two stores?',
  threads: integers(0x11112222, 0x33334444),
};

const UINT16: LitmusTest<IntegerView> = {
  ...one,
  ...NEVER,
  name: 'TEAR+u16',
  question: 'plain Uint16Array: does a load mix two stores?',
  view: (buffer) => new Uint16Array(buffer),
  threads: integers(0x1122, 0x3344),
};

const UINT8: LitmusTest<IntegerView> = {
  ...one,
  ...NEVER,
  name: 'TEAR+u8',
  question: 'plain Uint8Array: does a load mix two stores?',
  view: (buffer) => new Uint8Array(buffer),
  threads: integers(0x12, 0x34),
};

const A64 = 0x1111111122222222n;
const B64 = 0x3333333344444444n;
const LOW64 = 0xffffffffn;

function judge64(value: bigint): number {
  if (value === 0n) return 0;
  if (value === A64) return 1;
  if (value === B64) return 2;
  return (value & LOW64) === 0n || value >> 32n === 0n ? 4 : 3;
}

type Big = BigInt64Array<SharedArrayBuffer>;

const BIGINT: LitmusTest<Big> = {
  ...one,
  ...MAY,
  name: 'TEAR+i64',
  question: 'plain BigInt64Array: does a load mix two stores?',
  view: (buffer) => new BigInt64Array(buffer),
  threads: [
    (m, x) => {
      m[x] = A64;
    },
    (m, x) => {
      m[x] = B64;
    },
    (m, x, _gap, out, at) => {
      out[at] = judge64(m[x] as bigint);
    },
  ],
};

const BIGINT_ATOMIC: LitmusTest<Big> = {
  ...one,
  ...NEVER,
  name: 'TEAR+i64-atomic',
  question: 'atomic BigInt64Array: does a load mix two stores?',
  view: (buffer) => new BigInt64Array(buffer),
  threads: [
    (m, x) => {
      Atomics.store(m, x, A64);
    },
    (m, x) => {
      Atomics.store(m, x, B64);
    },
    (m, x, _gap, out, at) => {
      out[at] = judge64(Atomics.load(m, x));
    },
  ],
};

// Doubles whose two halves tell where they come from.
const F_A = 1.0000000009313226; // 0x3ff00000 00400000
const F_B = -2.0000000037252903; // 0xc0000000 00800000

const FLOAT64: LitmusTest<Float64Array> = {
  ...one,
  ...MAY,
  name: 'TEAR+f64',
  question: 'plain Float64Array: does a load mix two stores?',
  view: (buffer) => new Float64Array(buffer),
  threads: [
    (m, x) => {
      m[x] = F_A;
    },
    (m, x) => {
      m[x] = F_B;
    },
    (m, x, _gap, out, at) => {
      const value = m[x] as number;
      const judged = value === F_A ? 1 : value === F_B ? 2 : 3;
      out[at] = value === 0 ? 0 : judged === 3 && (value === 1 || value === -2) ? 4 : judged;
    },
  ],
};

const FLOAT32: LitmusTest<Float32Array> = {
  ...one,
  ...MAY,
  name: 'TEAR+f32',
  question: 'plain Float32Array: does a load mix two stores?',
  view: (buffer) => new Float32Array(buffer),
  threads: [
    (m, x) => {
      m[x] = 1.0078125;
    },
    (m, x) => {
      m[x] = -3.5;
    },
    (m, x, _gap, out, at) => {
      const value = m[x] as number;
      out[at] = value === 0 ? 0 : value === 1.0078125 ? 1 : value === -3.5 ? 2 : 3;
    },
  ],
};

/** @param offset of the word from the cell: 0 aligned; 62 across the end of a line */
function dataView(name: string, question: string, offset: number): LitmusTest<DataView> {
  return {
    ...one,
    ...MAY,
    name,
    question,
    cells: 2,
    cellBytes: 64,
    view: (buffer) => new DataView(buffer),
    threads: [
      (m, x) => {
        m.setInt32(x + offset, 0x11112222);
      },
      (m, x) => {
        m.setInt32(x + offset, 0x33334444);
      },
      (m, x, _gap, out, at) => {
        const value = m.getInt32(x + offset);
        if (value === 0) out[at] = 0;
        else if (value === 0x11112222) out[at] = 1;
        else if (value === 0x33334444) out[at] = 2;
        else out[at] = (value & 0xffff) === 0 || value >>> 16 === 0 ? 4 : 3;
      },
    ],
  };
}

const ALIGNED = dataView('TEAR+dataview', 'aligned DataView: does a load mix two stores?', 0);
const ACROSS = dataView(
  'TEAR+dataview-across',
  'DataView across two lines: does a load mix two stores?',
  62,
);

interface Mixed {
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  readonly u8: Uint8Array;
}

const mixed = (buffer: SharedArrayBuffer): Mixed => ({
  i32: new Int32Array(buffer),
  u16: new Uint16Array(buffer),
  u8: new Uint8Array(buffer),
});

const HALVES: LitmusTest<Mixed> = {
  name: 'MIXED+halves',
  question: 'two 16-bit atomic stores, one 32-bit atomic load: is one of them missed?',
  cells: 1,
  registers: 1,
  view: mixed,
  allowed: ['0', '1', '2', '3'],
  interesting: ['2'],
  threads: [
    (m, x) => {
      Atomics.store(m.u16, x / 2, 1);
      Atomics.store(m.u16, x / 2 + 1, 1);
    },
    (m, x, _gap, out, at) => {
      const word = Atomics.load(m.i32, x / 4);
      out[at] = (word & 1) + ((word >>> 16) & 1) * 2;
    },
  ],
};

/** Accesses of different sizes do not synchronise: the message may be missed. */
const FLAG: LitmusTest<Mixed> = {
  name: 'MIXED+flag',
  question: 'a flag stored with 32 bits and loaded with 8: is the message missed?',
  view: mixed,
  allowed: ['0 0', '0 1', '1 0', '1 1'],
  interesting: ['1 0'],
  threads: [
    (m, x, gap) => {
      m.i32[x / 4] = 1;
      Atomics.store(m.i32, (x + gap) / 4, 1);
    },
    (m, x, gap, out, at) => {
      out[at] = Atomics.load(m.u8, x + gap);
      out[at + 1] = m.i32[x / 4] as number;
    },
  ],
};

const NEIGHBOURS: LitmusTest<Mixed> = {
  name: 'MIXED+neighbours',
  question: 'plain stores to neighbouring bytes: does one undo the other?',
  cells: 1,
  registers: 1,
  view: mixed,
  allowed: ['3'],
  forbidden: ['0', '1', '2'],
  threads: [
    (m, x) => {
      m.u8[x] = 1;
    },
    (m, x) => {
      m.u8[x + 1] = 1;
    },
  ],
  observe: (m, x, _gap, out, at) => {
    out[at] = (m.u8[x] as number) + (m.u8[x + 1] as number) * 2;
  },
};

/** Tests of tearing and of mixed sizes. */
export const TEARING_TESTS = [
  INT32,
  UINT16,
  UINT8,
  BIGINT,
  BIGINT_ATOMIC,
  FLOAT64,
  FLOAT32,
  ALIGNED,
  ACROSS,
  HALVES,
  FLAG,
  NEIGHBOURS,
];
