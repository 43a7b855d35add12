// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the ring benches. A job's name is the ring, then what is done with it:
 *
 *   self1 self16   one thread pushes and pops, one element or 16 at a time
 *   spsc1 spsc16   thread 0 pushes, thread 1 pops
 *   mpsc           thread 0 pops, the others push
 *
 * Both sides poll, as a user's tight loop would. Polling in vain for IDLE_NS means that the peer
 * has lost its core: the side then sleeps for a moment, so that a busy machine measures the rings
 * and not its scheduler's time slice. Only what the consumer took counts. A poll that finds nothing
 * costs one of the chunk's operations and counts nothing, so no job can block. All elements are
 * written and read; their sum is kept, so that the loops are.
 */
import { KfifoMpsc, KfifoSpsc } from '../shared/kfifo.ts';
import { ktimeNs } from '../shared/ktime.ts';
import type { I32 } from '../shared/types.ts';
import type { BenchJobs, BenchPrepare } from './bench_pool.ts';

/** Elements of every ring measured. */
export const RING_CAPACITY = 4096;
export const BATCH = 16;

/** What a job works on: zeroed words for our rings, ringbuf.js storage for its. */
export interface RingJobData {
  readonly buffer: SharedArrayBuffer;
}

interface RingbufRing {
  push(elements: Int32Array): number;
  pop(elements: Int32Array): number;
}
interface RingbufModule {
  readonly RingBuffer: {
    new (buffer: SharedArrayBuffer, type: typeof Int32Array): RingbufRing;
    getStorageForCapacity(capacity: number, type: typeof Int32Array): SharedArrayBuffer;
  };
}

/**
 * @returns the ringbuf.js module, null where it is not installed (it is a development dependency)
 */
export async function loadRingbuf(): Promise<RingbufModule | null> {
  try {
    return (await import('ringbuf.js')) as unknown as RingbufModule;
  } catch {
    return null;
  }
}

const ringbuf = await loadRingbuf();

/**
 * Nanoseconds of polling in vain before a side gives up its core. Longer than the sleep that
 * follows, or the two sides would take turns sleeping for ever after.
 */
const IDLE_NS = 200_000;
/** Polls between two looks at the clock. */
const IDLE_POLLS = 128;
const idleWord = new Int32Array(new SharedArrayBuffer(4));
let idlePolls = 0;
let idleSince = 0;

/**
 * A poll in vain: sleeps when they went on for IDLE_NS. A poll with success sets idlePolls to 0.
 */
function idle(): void {
  if (++idlePolls % IDLE_POLLS !== 0) return;
  const now = ktimeNs();
  if (idlePolls === IDLE_POLLS) idleSince = now;
  if (now - idleSince < IDLE_NS) return;
  Atomics.wait(idleWord, 0, 0, 0.05);
  idlePolls = 0;
}

const one = new Int32Array(1);
const batch = new Int32Array(BATCH);

/** Keeps what was read, so that the reads are. */
export let sink = 0;

function wordsOf(data: unknown): I32 {
  return new Int32Array((data as RingJobData).buffer);
}

const spscOf = (data: unknown) => new KfifoSpsc(wordsOf(data), 0, RING_CAPACITY);
const mpscOf = (data: unknown) => new KfifoMpsc(wordsOf(data), 0, RING_CAPACITY);

function ringbufOf(data: unknown): RingbufRing {
  if (ringbuf === null) throw new Error('ringbuf.js is not installed');
  return new ringbuf.RingBuffer((data as RingJobData).buffer, Int32Array);
}

// The loops are functions of the module, not closures of a job: one copy each, compiled for itself.

function spscSelf1(producer: KfifoSpsc, consumer: KfifoSpsc, ops: number): number {
  for (let i = 0; i < ops; i++) {
    producer.push(i);
    sink ^= consumer.pop() as number;
  }
  return ops;
}

function spscSelf16(producer: KfifoSpsc, consumer: KfifoSpsc, ops: number): number {
  for (let i = 0; i < ops; i += BATCH) {
    batch[0] = i;
    producer.pushBatch(batch, 0, BATCH);
    consumer.popBatch(batch, 0, BATCH);
    sink ^= batch[0] as number;
  }
  return ops;
}

function ringbufSelf1(producer: RingbufRing, consumer: RingbufRing, ops: number): number {
  for (let i = 0; i < ops; i++) {
    one[0] = i;
    producer.push(one);
    consumer.pop(one);
    sink ^= one[0] as number;
  }
  return ops;
}

function ringbufSelf16(producer: RingbufRing, consumer: RingbufRing, ops: number): number {
  for (let i = 0; i < ops; i += BATCH) {
    batch[0] = i;
    producer.push(batch);
    consumer.pop(batch);
    sink ^= batch[0] as number;
  }
  return ops;
}

function mpscSelf1(producer: KfifoMpsc, consumer: KfifoMpsc, ops: number): number {
  for (let i = 0; i < ops; i++) {
    producer.push(i);
    sink ^= consumer.pop() as number;
  }
  return ops;
}

function spscPush1(ring: KfifoSpsc, ops: number): number {
  for (let i = 0; i < ops; i++) {
    if (ring.push(i)) idlePolls = 0;
    else idle();
  }
  return 0;
}

function spscPop1(ring: KfifoSpsc, ops: number): number {
  let taken = 0;
  for (let i = 0; i < ops; i++) {
    const value = ring.pop();
    if (value === undefined) idle();
    else {
      idlePolls = 0;
      sink ^= value;
      taken++;
    }
  }
  return taken;
}

function ringbufPush1(ring: RingbufRing, ops: number): number {
  for (let i = 0; i < ops; i++) {
    one[0] = i;
    if (ring.push(one) > 0) idlePolls = 0;
    else idle();
  }
  return 0;
}

function ringbufPop1(ring: RingbufRing, ops: number): number {
  let taken = 0;
  for (let i = 0; i < ops; i++) {
    if (ring.pop(one) === 0) idle();
    else {
      idlePolls = 0;
      sink ^= one[0] as number;
      taken++;
    }
  }
  return taken;
}

function spscPush16(ring: KfifoSpsc, ops: number): number {
  for (let i = 0; i < ops; i += BATCH) {
    batch[0] = i;
    if (ring.pushBatch(batch, 0, BATCH) > 0) idlePolls = 0;
    else idle();
  }
  return 0;
}

function spscPop16(ring: KfifoSpsc, ops: number): number {
  let taken = 0;
  for (let i = 0; i < ops; i += BATCH) {
    const nr = ring.popBatch(batch, 0, BATCH);
    if (nr > 0) idlePolls = 0;
    else idle();
    sink ^= batch[0] as number;
    taken += nr;
  }
  return taken;
}

function ringbufPush16(ring: RingbufRing, ops: number): number {
  for (let i = 0; i < ops; i += BATCH) {
    batch[0] = i;
    if (ring.push(batch) > 0) idlePolls = 0;
    else idle();
  }
  return 0;
}

function ringbufPop16(ring: RingbufRing, ops: number): number {
  let taken = 0;
  for (let i = 0; i < ops; i += BATCH) {
    const nr = ring.pop(batch);
    if (nr > 0) idlePolls = 0;
    else idle();
    sink ^= batch[0] as number;
    taken += nr;
  }
  return taken;
}

function mpscPush(ring: KfifoMpsc, ops: number): number {
  for (let i = 0; i < ops; i++) {
    if (ring.push(i)) idlePolls = 0;
    else idle();
  }
  return 0;
}

function mpscPop(ring: KfifoMpsc, ops: number): number {
  let taken = 0;
  for (let i = 0; i < ops; i++) {
    const value = ring.pop();
    if (value === undefined) idle();
    else {
      idlePolls = 0;
      sink ^= value;
      taken++;
    }
  }
  return taken;
}

/** One thread is both sides. */
function self<Ring>(
  ringOf: (data: unknown) => Ring,
  loop: (producer: Ring, consumer: Ring, ops: number) => number,
): BenchPrepare {
  return (data) => {
    const producer = ringOf(data);
    const consumer = ringOf(data);
    return (ops) => loop(producer, consumer, ops);
  };
}

/** The thread numbered `consumer` pops, the others push. */
function sides<Ring>(
  ringOf: (data: unknown) => Ring,
  consumer: number,
  push: (ring: Ring, ops: number) => number,
  pop: (ring: Ring, ops: number) => number,
): BenchPrepare {
  return (data, index) => {
    const ring = ringOf(data);
    const loop = index === consumer ? pop : push;
    return (ops) => loop(ring, ops);
  };
}

export const jobs: BenchJobs = {
  'spsc self1': self(spscOf, spscSelf1),
  'spsc self16': self(spscOf, spscSelf16),
  'ringbuf self1': self(ringbufOf, ringbufSelf1),
  'ringbuf self16': self(ringbufOf, ringbufSelf16),
  'mpsc self1': self(mpscOf, mpscSelf1),
  spsc1: sides(spscOf, 1, spscPush1, spscPop1),
  spsc16: sides(spscOf, 1, spscPush16, spscPop16),
  ringbuf1: sides(ringbufOf, 1, ringbufPush1, ringbufPop1),
  ringbuf16: sides(ringbufOf, 1, ringbufPush16, ringbufPop16),
  mpsc: sides(mpscOf, 0, mpscPush, mpscPop),
};
