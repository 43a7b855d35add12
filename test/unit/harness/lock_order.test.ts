// SPDX-License-Identifier: GPL-2.0-only
/** Orders of acquisition that could deadlock, from those that did not. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type LockEdge, LockOrder } from '../../../dist/src/harness/lock_order.js';

let order: LockOrder;
let line = 0;

beforeEach(() => {
  order = new LockOrder();
  line = 0;
});

/**
 * Runs a thread: `A` takes a lock, `?A` tries it, `A'` takes it for reading, `-A` gives it back; at
 * the end it gives back all.
 */
function run(thread: number, ...steps: string[]): void {
  for (const step of steps) {
    const [, sign, lock = '', mark] = /^([-?]?)(\w+)('?)$/.exec(step) ?? [];
    line++;
    if (sign === '-') order.released(thread, lock);
    else {
      const site = `f.js:${line}`;
      order.acquired(thread, { lock, name: lock, site, tried: sign === '?', read: mark !== '' });
    }
  }
  order.reset(thread);
}

const cycles = (): string[] =>
  order.inversions().map(({ edges }) => edges.map(({ from }) => from.lock).join(''));

describe('inversions', () => {
  test('of two locks and two threads, with both places of both', () => {
    run(0, 'A', 'B');
    run(1, 'B', 'A');
    const [found] = order.inversions();
    expect(found?.message).toBe(
      'locks in opposite orders: thread 0 takes B at f.js:2 holding A from f.js:1; ' +
        'thread 1 takes A at f.js:4 holding B from f.js:3',
    );
    expect(found?.inferred).toBe(false);
  });

  test('of three of each', () => {
    run(0, 'A', 'B');
    run(1, 'B', 'C');
    run(2, 'C', 'A');
    expect(cycles()).toEqual(['ABC']);
  });

  test('each once, however often they are seen', () => {
    for (let i = 0; i < 3; i++) {
      run(0, 'B', 'A');
      run(1, 'A', 'B');
      run(2, 'A', 'B');
    }
    expect(cycles()).toEqual(['AB']);
  });

  test.each<[string, string[][]]>([
    [
      'the same order',
      [
        ['A', 'B'],
        ['A', 'B'],
      ],
    ],
    ['one thread', [['A', 'B', '-A', '-B', 'B', 'A']]],
    [
      'given back before',
      [
        ['A', '-A', 'B'],
        ['B', '-B', 'A'],
      ],
    ],
    [
      'a gate',
      [
        ['G', 'A', 'B'],
        ['G', 'B', 'A'],
      ],
    ],
    [
      'a try',
      [
        ['A', '?B'],
        ['B', 'A'],
      ],
    ],
    [
      'both tried',
      [
        ['A', '?B'],
        ['B', '?A'],
      ],
    ],
    [
      'readers',
      [
        ["A'", "B'"],
        ["B'", "A'"],
      ],
    ],
    [
      'three locks, two threads',
      [
        ['A', 'B', '-A', '-B', 'B', 'C'],
        ['C', 'A'],
      ],
    ],
    [
      'taken again',
      [
        ['A', 'A'],
        ['A', 'A'],
      ],
    ],
  ])('none: %s', (_, threads) => {
    threads.forEach((steps, thread) => {
      run(thread, ...steps);
    });
    expect(cycles()).toEqual([]);
  });

  test.each<[string, string[][]]>([
    [
      'a lock that was tried is held',
      [
        ['?A', 'B'],
        ['?B', 'A'],
      ],
    ],
    [
      'a gate for reading is none',
      [
        ["G'", 'A', 'B'],
        ["G'", 'B', 'A'],
      ],
    ],
    [
      'a gate that was given back is none',
      [
        ['G', 'A', '-G', 'B'],
        ['G', 'B', '-G', 'A'],
      ],
    ],
    [
      'a gate of one of them',
      [
        ['G', 'A', 'B'],
        ['B', 'A'],
      ],
    ],
    [
      'a writer among readers',
      [
        ["A'", 'B'],
        ["B'", "A'"],
        ['B', 'A'],
      ],
    ],
    [
      'not nested',
      [
        ['A', 'B', '-A', 'C'],
        ['C', '-B', 'B'],
      ],
    ],
  ])('found: %s', (_, threads) => {
    threads.forEach((steps, thread) => {
      run(thread, ...steps);
    });
    expect(cycles().length).toBeGreaterThan(0);
  });

  test('from edges of other threads, told once each', () => {
    const told: LockEdge[] = [];
    order.onEdge = (edge) => told.push(edge);
    run(0, 'A', 'B', 'C');
    run(0, 'A', '-A');
    expect(told.map(({ from, to }) => from.lock + to.lock)).toEqual(['AB', 'AC', 'BC']);
    const other = new LockOrder();
    for (const edge of told) other.add({ ...edge, thread: 1 });
    other.acquired(0, { lock: 'C', name: 'C', site: 'x' });
    other.acquired(0, { lock: 'A', name: 'A', site: 'y' });
    expect(other.inversions().length).toBe(1);
  });
});
