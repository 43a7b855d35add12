// SPDX-License-Identifier: GPL-2.0-only
/**
 * Torture of the rings of one consumer: kfifo (one producer, many producers) and the public ring
 * buffer. A producer counts; a consumer looks whether it gets the count, in order, without a gap
 * and without a repetition, through every way of adding and taking. Rings are small, so that they
 * are full and empty all the time, and their indices start shortly before they wrap.
 */
import { KfifoMpsc, KfifoSpsc } from '../../shared/kfifo.ts';
import { SharedArrayBufferRingBuffer } from '../../shared/sharedarraybuffer_ringbuffer.ts';
import {
  countsOf,
  type RoleTally,
  statistics,
  sumOf,
  type Tally,
  type TortureContext,
  type TortureType,
  type Verdict,
} from './job.ts';
import { BrokenRing } from './ring_busted.ts';
import {
  CAPACITY,
  CAPACITY_MAX,
  dawdle,
  declareRingTables,
  isDone,
  RING_WORDS,
  type RingTables,
  START,
  sayDone,
  WAIT_MS,
} from './ring_tables.ts';

/** The calls that a ring may have. */
interface Ring {
  push(value: number): boolean;
  pop(): number | undefined;
  pushBatch?(from: Int32Array, offset: number, count: number): number;
  pushAll?(from: Int32Array, offset: number, count: number): boolean;
  popBatch?(into: Int32Array, offset: number, count: number): number;
  pushWait?(value: number, timeoutMs: number): boolean;
  popWait?(timeoutMs: number): number | undefined;
}

type MakeRing = (t: RingTables, ring: number, ctx: TortureContext) => Ring;

const BATCH = 16;
/** Indices of kfifo wrap a few thousand elements after the start. */
const NEAR_WRAP = 0x7fffffff - 3000;

const capacityOf = (t: RingTables): number => t.words[CAPACITY] as number;

class Producer {
  readonly #ring: Ring;
  readonly #ctx: TortureContext;
  readonly #batch = new Int32Array(BATCH);
  readonly #tag: number;
  readonly #mask: number;
  readonly #batchMax: number;
  sent = 0;
  full = 0;

  /** Values are `tag` and a count, in the bits that `mask` names. */
  constructor(ring: Ring, ctx: TortureContext, tag: number, mask: number, capacity: number) {
    this.#ring = ring;
    this.#ctx = ctx;
    this.#tag = tag;
    this.#mask = mask;
    this.#batchMax = Math.min(BATCH, capacity);
  }

  step(): void {
    const ring = this.#ring;
    const how = this.#ctx.prng.below(5);
    let added = 0;
    if (how === 0 && ring.pushBatch !== undefined) added = ring.pushBatch(...this.#fill());
    else if (how === 1 && ring.pushAll !== undefined) {
      const [from, offset, count] = this.#fill();
      added = ring.pushAll(from, offset, count) ? count : 0;
    } else if (how === 2 && ring.pushWait !== undefined) {
      added = ring.pushWait(this.#value(0), WAIT_MS) ? 1 : 0;
    } else added = ring.push(this.#value(0)) ? 1 : 0;
    if (added === 0) this.full++;
    this.sent += added;
  }

  #value(ahead: number): number {
    return this.#tag | ((this.sent + ahead) & this.#mask);
  }

  #fill(): [Int32Array, number, number] {
    const count = 1 + this.#ctx.prng.below(this.#batchMax);
    for (let i = 0; i < count; i++) this.#batch[i] = this.#value(i);
    return [this.#batch, 0, count];
  }
}

class Consumer {
  readonly #ring: Ring;
  readonly #ctx: TortureContext;
  readonly #batch = new Int32Array(BATCH);
  readonly #check: (value: number) => void;
  received = 0;

  constructor(ring: Ring, ctx: TortureContext, check: (value: number) => void) {
    this.#ring = ring;
    this.#ctx = ctx;
    this.#check = check;
  }

  /** @returns false when there was nothing */
  step(): boolean {
    const ring = this.#ring;
    const how = this.#ctx.prng.below(4);
    if (how === 0 && ring.popBatch !== undefined) {
      const count = ring.popBatch(this.#batch, 0, 1 + this.#ctx.prng.below(BATCH));
      for (let i = 0; i < count; i++) this.#take(this.#batch[i] as number);
      return count > 0;
    }
    const waits = how === 1 && ring.popWait !== undefined;
    const value = waits ? ring.popWait?.(WAIT_MS) : ring.pop();
    if (value === undefined) return false;
    this.#take(value);
    return true;
  }

  #take(value: number): void {
    this.#check(value);
    this.received++;
  }
}

function produce(t: RingTables, ctx: TortureContext, producer: Producer): Tally {
  while (ctx.turn()) {
    producer.step();
    dawdle(ctx);
  }
  sayDone(t, ctx.id);
  return { sent: producer.sent, full: producer.full };
}

/** Takes until all producers are through and the ring is empty. */
function consume(t: RingTables, ctx: TortureContext, from: readonly number[], c: Consumer): Tally {
  for (;;) {
    const going = ctx.turn();
    const done = !going && from.every((id) => isDone(t, id));
    if ((!c.step() && done) || ctx.failed) break;
    if (going) dawdle(ctx);
  }
  return { received: c.received };
}

// ---- One producer: threads 2k+1 and 2k+2 share ring k.

const ALL_BITS = -1;

function pairBody(t: RingTables, ctx: TortureContext, make: MakeRing): Tally {
  const ring = make(t, (ctx.id - 1) >> 1, ctx);
  if (ctx.role === 'producer') {
    return produce(t, ctx, new Producer(ring, ctx, 0, ALL_BITS, capacityOf(t)));
  }
  let expected = 0;
  const consumer = new Consumer(ring, ctx, (value) => {
    if (value !== expected) ctx.fail(`got ${value}, expected ${expected}`);
    expected = (value + 1) | 0;
  });
  return consume(t, ctx, [ctx.id - 1], consumer);
}

function judgeRing(_t: RingTables, tallies: readonly RoleTally[]): Verdict {
  const sent = countsOf(tallies, 'producer', 'sent');
  const received = countsOf(tallies, 'consumer', 'received');
  const total = sumOf(tallies, 'sent');
  const got = sumOf(tallies, 'received');
  const failures = total === got ? [] : [`${total} elements went in, ${got} came out`];
  const lines = [statistics('Pushed', sent, failures.length), statistics('Popped', received, 0)];
  return { lines, failures, counts: { sent, received, full: sumOf(tallies, 'full') } };
}

const pairs = (threads: number): string[] =>
  Array.from({ length: threads }, (_, at) => (at % 2 === 0 ? 'producer' : 'consumer'));

/** An odd thread out has no partner: pairs only. */
function initPairs(init: (t: RingTables, ring: number) => void) {
  return (t: RingTables, threads: number): void => {
    t.words[START] = NEAR_WRAP;
    t.words[CAPACITY] = 4;
    for (let ring = 0; ring < threads / 2; ring++) init(t, ring);
  };
}

const SPSC: TortureType<RingTables> = {
  name: 'kfifo_spsc',
  busted: 'the head moves before the element is there',
  threadsMultiple: 2,
  roles: pairs,
  declare: declareRingTables,
  init: initPairs((t, ring) => KfifoSpsc.init(t.rings, ring * RING_WORDS, NEAR_WRAP)),
  body: (t, ctx) =>
    pairBody(t, ctx, (tables, ring) => {
      const base = ring * RING_WORDS;
      if (!ctx.busted) return new KfifoSpsc(tables.rings, base, capacityOf(tables));
      return new BrokenRing(tables.rings, base, 4, 'publish first', () => ctx.gap());
    }),
  judge: judgeRing,
};

const BUFFER: TortureType<RingTables> = {
  name: 'sharedarraybuffer_ringbuffer',
  busted: 'one element more than there is room for',
  threadsMultiple: 2,
  roles: pairs,
  declare: declareRingTables,
  init: initPairs(() => {}),
  body: (t, ctx) =>
    pairBody(t, ctx, (tables, ring) => {
      const at = ring * RING_WORDS;
      if (ctx.busted) return new BrokenRing(tables.rings, at, 4, 'one too many', () => ctx.gap());
      const { buffer, byteOffset } = tables.rings;
      return new SharedArrayBufferRingBuffer(buffer, byteOffset + at * 4, CAPACITY_MAX);
    }),
  judge: judgeRing,
};

// ---- Many producers: the last thread takes. A value is a producer (7 bits) and its count (24).

const COUNT_BITS = 24;
const COUNT_MASK = (1 << COUNT_BITS) - 1;

function mpscRing(t: RingTables, ctx: TortureContext): Ring {
  if (!ctx.busted) return new KfifoMpsc(t.rings, 0, capacityOf(t));
  return new BrokenRing(t.rings, 0, 8, 'claim apart', () => ctx.gap());
}

function mpscBody(t: RingTables, ctx: TortureContext): Tally {
  const ring = mpscRing(t, ctx);
  if (ctx.role === 'producer') {
    const tag = ctx.id << COUNT_BITS;
    return produce(t, ctx, new Producer(ring, ctx, tag, COUNT_MASK, capacityOf(t)));
  }
  const expected = new Int32Array(128);
  const consumer = new Consumer(ring, ctx, (value) => {
    const from = value >>> COUNT_BITS;
    const count = value & COUNT_MASK;
    if (count !== expected[from]) {
      ctx.fail(`got ${count} of producer ${from}, expected ${expected[from]}`);
    }
    expected[from] = (count + 1) & COUNT_MASK;
  });
  const producers = Array.from({ length: ctx.threads - 1 }, (_, at) => at + 1);
  return consume(t, ctx, producers, consumer);
}

const MPSC: TortureType<RingTables> = {
  name: 'kfifo_mpsc',
  busted: 'a slot is claimed by a load and a store',
  threadsMin: 3,
  roles: (threads) => [...new Array<string>(threads - 1).fill('producer'), 'consumer'],
  declare: declareRingTables,
  init: (t) => {
    t.words[CAPACITY] = 8;
    KfifoMpsc.init(t.rings, 0, 8, NEAR_WRAP);
  },
  body: mpscBody,
  judge: judgeRing,
};

/** Rings of one consumer. */
export const RING_TYPES = [SPSC, MPSC, BUFFER];
