// SPDX-License-Identifier: GPL-2.0-only
/** The trace ring: what a drain sees while the writer goes on and comes round. */
import { afterEach, describe, expect, test } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import {
  declareTrace,
  enterTrace,
  TraceDrain,
  type TraceEvent,
  traceEvent,
  traceOn,
} from '../../../dist/shared/trace_ring.js';
import { LINE_WORDS } from '../../../dist/shared/types.js';
import { spawnWorker } from '../../fixtures/spawn_worker.mjs';

const ENTRIES = 8;
const make = () => createArena((builder) => declareTrace(builder, ENTRIES));

let table = make().tables;
afterEach(() => enterTrace(table, 1, false));

function collect(drain: TraceDrain): TraceEvent[] {
  const events: TraceEvent[] = [];
  drain.drain((event) => events.push(event));
  return events;
}

describe('trace ring: one thread', () => {
  test('events come out in order, once, with time, thread and arguments', () => {
    table = make().tables;
    enterTrace(table, 3, true);
    const drain = new TraceDrain(table, 3);
    traceEvent(7, 1, 2, 3, 4);
    traceEvent(8, -1);
    const events = collect(drain);
    expect(events).toMatchObject([
      { thread: 3, event: 7, args: [1, 2, 3, 4] },
      { thread: 3, event: 8, args: [-1, 0, 0, 0] },
    ]);
    expect(events[1]!.timeMs).toBeGreaterThanOrEqual(events[0]!.timeMs);
    expect(collect(drain)).toEqual([]);
    expect(drain.lost).toBe(0);
  });

  test('off, nothing is recorded', () => {
    table = make().tables;
    enterTrace(table, 3, false);
    traceEvent(7);
    expect([traceOn(), table.head[3 * LINE_WORDS]]).toEqual([false, 0]);
  });

  test.each([0, -4])('the oldest are overwritten and counted; counts from %i on', (start) => {
    table = make().tables;
    table.head[LINE_WORDS] = start;
    const drain = new TraceDrain(table, 1);
    if (start !== 0) collect(drain);
    const lostBefore = drain.lost;
    enterTrace(table, 1, true);
    for (let i = 0; i < 20; i++) traceEvent(i);
    expect(collect(drain).map(({ event }) => event)).toEqual([13, 14, 15, 16, 17, 18, 19]);
    expect(drain.lost - lostBefore).toBe(13);
  });

  test('a drain that starts late finds the last entries', () => {
    table = make().tables;
    enterTrace(table, 1, true);
    for (let i = 0; i < 20; i++) traceEvent(i);
    expect(collect(new TraceDrain(table, 1)).length).toBe(ENTRIES - 1);
  });

  test('a record that is half written, or overwritten while it is read, is dropped', () => {
    table = make().tables;
    enterTrace(table, 1, true);
    for (let i = 0; i < 4; i++) traceEvent(i);
    const slot = ENTRIES * 8 + 2 * 8;
    table.records[slot] = 11; // the writer of record 10 has begun with slot 2
    const drain = new TraceDrain(table, 1);
    expect(collect(drain).map(({ event }) => event)).toEqual([0, 1, 3]);
    expect(drain.lost).toBe(1);
  });
});

test('trace ring: at full speed drained records are whole, in order, counted once', async () => {
  const { memory, tables } = make();
  const count = 300_000;
  const writer = spawnWorker('trace_writer.mjs', { memory, id: 2, entries: ENTRIES, count });
  const drain = new TraceDrain(tables, 2);
  let drained = 0;
  let torn = 0;
  let last = -1;
  const sink = ({ event, args }: TraceEvent) => {
    drained++;
    if (event <= last || args.some((arg, i) => arg !== event * (i + 1))) torn++;
    last = event;
  };
  while (Atomics.load(tables.head, 2 * LINE_WORDS) < count) {
    drain.drain(sink);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.result;
  drain.drain(sink);
  expect(torn).toBe(0);
  expect(last).toBe(count - 1);
  expect(drained + drain.lost).toBe(count);
  expect(drained).toBeGreaterThan(0);
});
