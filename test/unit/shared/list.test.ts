// SPDX-License-Identifier: GPL-2.0-only
/** Index lists beside arrays as their model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as list from '../../../dist/shared/list.js';
import type { I32 } from '../../../dist/shared/types.js';

const NODES = 12;
const HEADS = [NODES, NODES + 1];

function columns() {
  const next: I32 = new Int32Array(new SharedArrayBuffer((NODES + 2) * 4));
  const prev: I32 = new Int32Array(new SharedArrayBuffer((NODES + 2) * 4));
  list.listNodeInit(next, prev, 0, NODES);
  for (const head of HEADS) list.listInit(next, prev, head);
  return { next, prev };
}

function toArray(next: Int32Array, head: number): number[] {
  const nodes: number[] = [];
  for (let node = next[head]!; node !== head; node = next[node]!) nodes.push(node);
  return nodes;
}

type Columns = ReturnType<typeof columns>;
type Model = [number[], number[]];

const node = fc.nat(NODES - 1);
const which = fc.nat(1);

function remove(model: Model, n: number): boolean {
  for (const nodes of model) {
    const at = nodes.indexOf(n);
    if (at >= 0) return nodes.splice(at, 1).length > 0;
  }
  return false;
}

/** Each operation on the lists and on two arrays; skipped where it would be a misuse. */
const operations: ((c: Columns, model: Model, n: number, h: number) => void)[] = [
  ({ next, prev }, model, n, h) => {
    if (list.listOnList(next, n)) return;
    list.listAdd(next, prev, n, HEADS[h]!);
    model[h]!.unshift(n);
  },
  ({ next, prev }, model, n, h) => {
    if (list.listOnList(next, n)) return;
    list.listAddTail(next, prev, n, HEADS[h]!);
    model[h]!.push(n);
  },
  ({ next, prev }, model, n) => {
    if (remove(model, n)) list.listDel(next, prev, n);
  },
  ({ next, prev }, model, n, h) => {
    if (!remove(model, n)) return;
    list.listMove(next, prev, n, HEADS[h]!);
    model[h]!.unshift(n);
  },
  ({ next, prev }, model, n, h) => {
    if (!remove(model, n)) return;
    list.listMoveTail(next, prev, n, HEADS[h]!);
    model[h]!.push(n);
  },
  ({ next, prev }, model, _n, h) => {
    const popped = list.listPop(next, prev, HEADS[h]!);
    expect(popped).toBe(model[h]!.shift() ?? list.LIST_NONE);
  },
  ({ next, prev }, model, _n, h) => {
    const popped = list.listPopTail(next, prev, HEADS[h]!);
    expect(popped).toBe(model[h]!.pop() ?? list.LIST_NONE);
  },
  ({ next, prev }, model, _n, h) => {
    list.listSplice(next, prev, HEADS[h]!, HEADS[1 - h]!);
    model[1 - h]!.unshift(...model[h]!.splice(0));
  },
  ({ next, prev }, model, _n, h) => {
    list.listSpliceTail(next, prev, HEADS[h]!, HEADS[1 - h]!);
    model[1 - h]!.push(...model[h]!.splice(0));
  },
  ({ next, prev }, model, n, h) => {
    const at = model[h]!.indexOf(n);
    if (at < 0) return;
    list.listRotateTo(next, prev, HEADS[h]!, n);
    model[h]!.push(...model[h]!.splice(0, at));
  },
];

test('list: any sequence of operations leaves what it leaves on arrays', () => {
  const step = fc.tuple(fc.nat(operations.length - 1), node, which);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const c = columns();
      const model: Model = [[], []];
      for (const [op, n, h] of steps) {
        operations[op]!(c, model, n, h);
        for (const i of [0, 1]) {
          expect(toArray(c.next, HEADS[i]!)).toEqual(model[i]);
          const count = list.listCount(c.next, c.prev, HEADS[i]!, NODES);
          expect(count).toBe(model[i]!.length);
          expect(list.listEmpty(c.next, HEADS[i]!)).toBe(model[i]!.length === 0);
          expect(list.listFirst(c.next, HEADS[i]!)).toBe(model[i]![0] ?? list.LIST_NONE);
          expect(list.listLast(c.prev, HEADS[i]!)).toBe(model[i]!.at(-1) ?? list.LIST_NONE);
        }
      }
    }),
    { seed: 0x5eed, numRuns: 200 },
  );
});

describe('list: misuse throws', () => {
  test('adding a node that is on a list, deleting one that is on none', () => {
    const { next, prev } = columns();
    list.listAdd(next, prev, 3, HEADS[0]!);
    expect(() => list.listAdd(next, prev, 3, HEADS[1]!)).toThrow(/added while on a list/);
    expect(() => list.listAddTail(next, prev, 3, HEADS[0]!)).toThrow(/added while on a list/);
    list.listDel(next, prev, 3);
    expect(() => list.listDel(next, prev, 3)).toThrow(/deleted while on no list/);
    expect(() => list.listSplice(next, prev, HEADS[0]!, HEADS[0]!)).toThrow(/onto itself/);
  });

  test('a neighbour that was overwritten is noticed on add, on delete and on a walk', () => {
    const { next, prev } = columns();
    for (const n of [0, 1, 2]) list.listAddTail(next, prev, n, HEADS[0]!);
    prev[2] = 0;
    expect(() => list.listDel(next, prev, 1)).toThrow(/neighbours disagree/);
    expect(() => list.listAdd(next, prev, 5, 1)).toThrow(/neighbours disagree/);
    expect(() => list.listCount(next, prev, HEADS[0]!, NODES)).toThrow(/prev and next disagree/);
  });

  test('a loop that misses the head ends the walk', () => {
    const { next, prev } = columns();
    for (const n of [0, 1, 2]) list.listAddTail(next, prev, n, HEADS[0]!);
    next[2] = 0;
    prev[0] = 2;
    expect(() => list.listCount(next, prev, HEADS[0]!, NODES)).toThrow(/disagree|loop/);
  });
});
