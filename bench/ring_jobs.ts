// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the ring benches. A job's name is the ring, then what is done with it:
 *
 *   self1 self16   one thread pushes and pops, one element or 16 at a time
 *   spsc1 spsc16   thread 0 pushes, thread 1 pops
 *   mpsc           thread 0 pops, the others push
 *
 * Both sides poll, as a user's tight loop would; one that has found the ring full or empty
 * IDLE_POLLS times in a row (the peer has lost its core) sleeps for a moment, so that a busy
 * machine measures the rings and not the scheduler's time slice. Only what the consumer took
 * counts. A poll that finds nothing costs one of the chunk's operations and counts nothing, so no
 * job can block. All elements are written and read; their sum is kept, so that the loops are.
 */
import { KfifoMpsc, KfifoSpsc } from '../shared/kfifo.ts';
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

/** Polls in vain, about 20 us, before a side gives up its core. */
const IDLE_POLLS = 1000;
const idleWord = new Int32Array(new SharedArrayBuffer(4));

/** @returns the new number of polls in vain */
function idle(polls: number): number {
  if (polls < IDLE_POLLS) return polls + 1;
  Atomics.wait(idleWord, 0, 0, 0.05);
  return 0;
}

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

const spscSelf1: BenchPrepare = (data) => {
  const producer = spscOf(data);
  const consumer = spscOf(data);
  return (ops) => {
    for (let i = 0; i < ops; i++) {
      producer.push(i);
      sink ^= consumer.pop() as number;
    }
    return ops;
  };
};

const spscSelf16: BenchPrepare = (data) => {
  const producer = spscOf(data);
  const consumer = spscOf(data);
  const batch = new Int32Array(BATCH);
  return (ops) => {
    for (let i = 0; i < ops; i += BATCH) {
      batch[0] = i;
      producer.pushBatch(batch, 0, BATCH);
      consumer.popBatch(batch, 0, BATCH);
      sink ^= batch[0] as number;
    }
    return ops;
  };
};

const ringbufSelf1: BenchPrepare = (data) => {
  const producer = ringbufOf(data);
  const consumer = ringbufOf(data);
  const one = new Int32Array(1);
  return (ops) => {
    for (let i = 0; i < ops; i++) {
      one[0] = i;
      producer.push(one);
      consumer.pop(one);
      sink ^= one[0] as number;
    }
    return ops;
  };
};

const ringbufSelf16: BenchPrepare = (data) => {
  const producer = ringbufOf(data);
  const consumer = ringbufOf(data);
  const batch = new Int32Array(BATCH);
  return (ops) => {
    for (let i = 0; i < ops; i += BATCH) {
      batch[0] = i;
      producer.push(batch);
      consumer.pop(batch);
      sink ^= batch[0] as number;
    }
    return ops;
  };
};

const mpscSelf1: BenchPrepare = (data) => {
  const producer = mpscOf(data);
  const consumer = mpscOf(data);
  return (ops) => {
    for (let i = 0; i < ops; i++) {
      producer.push(i);
      sink ^= consumer.pop() as number;
    }
    return ops;
  };
};

const spsc1: BenchPrepare = (data, index) => {
  const ring = spscOf(data);
  let polls = 0;
  if (index === 0) {
    return (ops) => {
      for (let i = 0; i < ops; i++) polls = ring.push(i) ? 0 : idle(polls);
      return 0;
    };
  }
  return (ops) => {
    let taken = 0;
    for (let i = 0; i < ops; i++) {
      const value = ring.pop();
      if (value === undefined) {
        polls = idle(polls);
        continue;
      }
      polls = 0;
      sink ^= value;
      taken++;
    }
    return taken;
  };
};

const ringbuf1: BenchPrepare = (data, index) => {
  const ring = ringbufOf(data);
  const one = new Int32Array(1);
  let polls = 0;
  if (index === 0) {
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        one[0] = i;
        polls = ring.push(one) > 0 ? 0 : idle(polls);
      }
      return 0;
    };
  }
  return (ops) => {
    let taken = 0;
    for (let i = 0; i < ops; i++) {
      if (ring.pop(one) === 0) {
        polls = idle(polls);
        continue;
      }
      polls = 0;
      sink ^= one[0] as number;
      taken++;
    }
    return taken;
  };
};

const spsc16: BenchPrepare = (data, index) => {
  const ring = spscOf(data);
  const batch = new Int32Array(BATCH);
  let polls = 0;
  if (index === 0) {
    return (ops) => {
      for (let i = 0; i < ops; i += BATCH) {
        batch[0] = i;
        polls = ring.pushBatch(batch, 0, BATCH) > 0 ? 0 : idle(polls);
      }
      return 0;
    };
  }
  return (ops) => {
    let taken = 0;
    for (let i = 0; i < ops; i += BATCH) {
      const nr = ring.popBatch(batch, 0, BATCH);
      polls = nr > 0 ? 0 : idle(polls);
      sink ^= batch[0] as number;
      taken += nr;
    }
    return taken;
  };
};

const ringbuf16: BenchPrepare = (data, index) => {
  const ring = ringbufOf(data);
  const batch = new Int32Array(BATCH);
  let polls = 0;
  if (index === 0) {
    return (ops) => {
      for (let i = 0; i < ops; i += BATCH) {
        batch[0] = i;
        polls = ring.push(batch) > 0 ? 0 : idle(polls);
      }
      return 0;
    };
  }
  return (ops) => {
    let taken = 0;
    for (let i = 0; i < ops; i += BATCH) {
      const nr = ring.pop(batch);
      polls = nr > 0 ? 0 : idle(polls);
      sink ^= batch[0] as number;
      taken += nr;
    }
    return taken;
  };
};

const mpsc: BenchPrepare = (data, index) => {
  const ring = mpscOf(data);
  let polls = 0;
  if (index > 0) {
    return (ops) => {
      for (let i = 0; i < ops; i++) polls = ring.push(i) ? 0 : idle(polls);
      return 0;
    };
  }
  return (ops) => {
    let taken = 0;
    for (let i = 0; i < ops; i++) {
      const value = ring.pop();
      if (value === undefined) {
        polls = idle(polls);
        continue;
      }
      polls = 0;
      sink ^= value;
      taken++;
    }
    return taken;
  };
};

export const jobs: BenchJobs = {
  'spsc self1': spscSelf1,
  'spsc self16': spscSelf16,
  'ringbuf self1': ringbufSelf1,
  'ringbuf self16': ringbufSelf16,
  'mpsc self1': mpscSelf1,
  spsc1,
  spsc16,
  ringbuf1,
  ringbuf16,
  mpsc,
};
