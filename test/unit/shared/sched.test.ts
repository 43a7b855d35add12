// SPDX-License-Identifier: GPL-2.0-only
/**
 * Waiting, on one thread: the other side of each race is played at its worst moment, from inside
 * the condition or from inside Atomics.wait.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  condResched,
  EVENT_INTERRUPTED,
  EVENT_READY,
  EVENT_TIMEOUT,
  enterTask,
  kthreadSafePoint,
  MachineStopped,
  scheduleTimeout,
  waitEvent,
  waitEventBlocked,
  waitEventTimeout,
} from '../../../dist/shared/sched.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import {
  postRequest,
  REQUEST_FREEZE,
  REQUEST_PANIC,
  REQUEST_STOP,
} from '../../../dist/shared/task.js';
import { THREAD_RUNNING } from '../../../dist/shared/thread.js';
import { wakeUp } from '../../../dist/shared/wait_queue.js';
import { toyParts } from '../../fixtures/toy_engine.mjs';

const ID = 1;
/** A wait that runs its full time has lost its wake-up. */
const LOST_MS = 2000;

const realWait = Atomics.wait;
let engine: ReturnType<typeof toyParts>['engine'];
let queue: Int32Array<SharedArrayBuffer>;

beforeEach(() => {
  const made = toyParts([]);
  engine = made.engine;
  queue = made.toy.queue;
  enterSync(engine.sync, ID);
  enterTask(engine.sync.threads, engine.tasks, ID);
  Atomics.store(engine.sync.threads.state, ID, THREAD_RUNNING);
});

afterEach(() => {
  Atomics.wait = realWait;
  resetSync();
});

/** Runs `act` once, at the moment when the thread falls asleep. A sleep without end then throws. */
function atTheWait(act: () => void): void {
  let acted = false;
  Atomics.wait = ((words: Int32Array, index: number, value: number, ms = Infinity) => {
    if (!acted) {
      acted = true;
      act();
    }
    const result = realWait(words as never, index, value, Math.min(ms, LOST_MS));
    if (result === 'timed-out' && ms > LOST_MS) throw new Error('a wake-up was lost');
    return result;
  }) as typeof Atomics.wait;
}

function request(bits: number): void {
  postRequest(engine.sync.threads, engine.tasks, ID, bits);
}

test('waitEvent: a wake-up right after the test of the condition is not lost', () => {
  atTheWait(() => {});
  let calls = 0;
  let happened = false;
  const condition = (): boolean => {
    const answer = happened;
    // The second call is the one inside the loop: the waker comes just after its test.
    if (++calls === 2) {
      happened = true;
      wakeUp(queue, 0);
    }
    return answer;
  };
  expect(waitEvent(queue, 0, condition)).toBe(EVENT_READY);
});

test('waitEvent: a wake-up right before the sleep is not lost', () => {
  let happened = false;
  atTheWait(() => {
    happened = true;
    wakeUp(queue, 0);
  });
  expect(waitEvent(queue, 0, () => happened)).toBe(EVENT_READY);
});

test('waitEvent: a request right before the sleep is not lost', () => {
  atTheWait(() => request(REQUEST_STOP));
  expect(waitEvent(queue, 0, () => false)).toBe(EVENT_INTERRUPTED);
});

test('waitEvent: a panic ends it, blocked or not', () => {
  atTheWait(() => request(REQUEST_PANIC));
  expect(() => waitEventBlocked(queue, 0, () => false)).toThrow(MachineStopped);
  expect(() => waitEvent(queue, 0, () => false)).toThrow(MachineStopped);
  expect(() => condResched()).toThrow(MachineStopped);
});

test('waitEvent: the condition wins over a request and over the time', () => {
  request(REQUEST_STOP);
  expect(waitEvent(queue, 0, () => true)).toBe(EVENT_READY);
  let calls = 0;
  expect(waitEventTimeout(queue, 0, () => ++calls > 1, 0)).toBe(EVENT_READY);
});

test('waitEventBlocked: requests do not end it', () => {
  let happened = false;
  atTheWait(() => {
    request(REQUEST_STOP);
    happened = true;
  });
  expect(waitEventBlocked(queue, 0, () => happened)).toBe(EVENT_READY);
  expect(waitEventBlocked(queue, 0, () => false, 1)).toBe(EVENT_TIMEOUT);
});

test('scheduleTimeout: runs its time, or ends at a request', () => {
  expect(scheduleTimeout(1)).toBe(EVENT_TIMEOUT);
  atTheWait(() => request(REQUEST_FREEZE));
  expect(scheduleTimeout(Number.POSITIVE_INFINITY)).toBe(EVENT_INTERRUPTED);
});

test('kthreadSafePoint: a stop ends the refrigerator', () => {
  request(REQUEST_FREEZE);
  atTheWait(() => request(REQUEST_STOP));
  expect(kthreadSafePoint()).toBe(true);
  expect(engine.tasks.frozen[ID]).toBe(0);
  expect(Atomics.load(engine.sync.threads.state, ID)).toBe(THREAD_RUNNING);
});

test('a wait leaves nothing behind: state, wait word, waiters', () => {
  atTheWait(() => wakeUp(queue, 0));
  waitEventTimeout(queue, 0, () => false, 1);
  expect(Atomics.load(engine.tasks.waitWord, ID)).toBe(0);
  expect(Atomics.load(engine.sync.threads.waitKind, ID)).toBe(0);
  expect(Atomics.load(queue, 1)).toBe(0);
  expect(Atomics.load(engine.sync.threads.wakeups, ID)).toBeGreaterThan(0);
});
