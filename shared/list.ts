// SPDX-License-Identifier: MIT
/**
 * Intrusive doubly linked lists of indices, as the kernel's `list_head`.
 *
 * A list lives in two i32 columns, `next` and `prev`, indexed by the node (a pfn, a folio, a slot).
 * It is circular through a head: a row of the same columns that is no node, for example one past
 * the last pfn. A node is on at most one list of a pair of columns at a time.
 *
 *   next[node] state
 *   >= 0       on a list (or a head: a head that names itself is an empty list)
 *   LIST_NONE  on no list: initialised by listNodeInit, or deleted
 *
 * Guarantees: (A) adding a node that is on a list throws; (B) deleting one that is on none throws;
 * (C) neighbours are checked to name the node before a delete, as CONFIG_DEBUG_LIST does.
 * Not promised: that a node is on the list whose head the caller thinks of. Zeroed columns are not
 * initialised: row 0 would be everybody's neighbour.
 * Progress: wait-free, O(1), but for the walks. Accesses are plain: the caller holds the list's
 * lock.
 */
import { assert } from './assert.ts';
import type { I32 } from './types.ts';

/** In `next` and `prev` of a node that is on no list. */
export const LIST_NONE = -1;

/** Makes `head` an empty list. @context the list's lock, or before anybody else knows the list */
export function listInit(next: I32, prev: I32, head: number): void {
  next[head] = head;
  prev[head] = head;
}

/** Marks rows `from .. to-1` as being on no list. @context before anybody else knows the columns */
export function listNodeInit(next: I32, prev: I32, from: number, to: number): void {
  next.fill(LIST_NONE, from, to);
  prev.fill(LIST_NONE, from, to);
}

function insert(next: I32, prev: I32, node: number, before: number, after: number): void {
  assert(next[node] === LIST_NONE, 'list: node added while on a list');
  assert(next[before] === after && prev[after] === before, 'list: neighbours disagree on add');
  next[node] = after;
  prev[node] = before;
  next[before] = node;
  prev[after] = node;
}

/** Adds `node` right after `head` (or after any node of the list). @context the list's lock */
export function listAdd(next: I32, prev: I32, node: number, head: number): void {
  insert(next, prev, node, head, next[head] as number);
}

/** Adds `node` right before `head`: at the tail. @context the list's lock */
export function listAddTail(next: I32, prev: I32, node: number, head: number): void {
  insert(next, prev, node, prev[head] as number, head);
}

/** Takes `node` off its list and poisons it. @context the list's lock */
export function listDel(next: I32, prev: I32, node: number): void {
  const after = next[node] as number;
  const before = prev[node] as number;
  assert(after !== LIST_NONE, 'list: node deleted while on no list');
  assert(next[before] === node && prev[after] === node, 'list: neighbours disagree on delete');
  next[before] = after;
  prev[after] = before;
  next[node] = LIST_NONE;
  prev[node] = LIST_NONE;
}

/** Moves `node` from its list to right after `head`. @context the locks of both lists */
export function listMove(next: I32, prev: I32, node: number, head: number): void {
  listDel(next, prev, node);
  listAdd(next, prev, node, head);
}

/** Moves `node` from its list to right before `head`. @context the locks of both lists */
export function listMoveTail(next: I32, prev: I32, node: number, head: number): void {
  listDel(next, prev, node);
  listAddTail(next, prev, node, head);
}

/** @returns true when the list has no node @context the list's lock */
export function listEmpty(next: I32, head: number): boolean {
  return next[head] === head;
}

/** @returns true when `node` is on a list @context the list's lock */
export function listOnList(next: I32, node: number): boolean {
  return next[node] !== LIST_NONE;
}

/** @returns the first node, LIST_NONE for an empty list @context the list's lock */
export function listFirst(next: I32, head: number): number {
  const node = next[head] as number;
  return node === head ? LIST_NONE : node;
}

/** @returns the last node, LIST_NONE for an empty list @context the list's lock */
export function listLast(prev: I32, head: number): number {
  const node = prev[head] as number;
  return node === head ? LIST_NONE : node;
}

/** Takes the first node off. @returns it, LIST_NONE for an empty list @context the list's lock */
export function listPop(next: I32, prev: I32, head: number): number {
  const node = listFirst(next, head);
  if (node !== LIST_NONE) listDel(next, prev, node);
  return node;
}

/** Takes the last node off. @returns it, LIST_NONE for an empty list @context the list's lock */
export function listPopTail(next: I32, prev: I32, head: number): number {
  const node = listLast(prev, head);
  if (node !== LIST_NONE) listDel(next, prev, node);
  return node;
}

function splice(next: I32, prev: I32, from: number, before: number, after: number): void {
  if (listEmpty(next, from)) return;
  const first = next[from] as number;
  const last = prev[from] as number;
  assert(prev[first] === from && next[last] === from, 'list: head disagrees on splice');
  next[before] = first;
  prev[first] = before;
  next[last] = after;
  prev[after] = last;
  listInit(next, prev, from);
}

/**
 * Moves all of list `from` to the front of list `to`, in order; `from` ends empty.
 * @context both locks
 */
export function listSplice(next: I32, prev: I32, from: number, to: number): void {
  assert(from !== to, 'list: splice onto itself');
  splice(next, prev, from, to, next[to] as number);
}

/**
 * Moves all of list `from` to the tail of list `to`, in order; `from` ends empty.
 * @context both locks
 */
export function listSpliceTail(next: I32, prev: I32, from: number, to: number): void {
  assert(from !== to, 'list: splice onto itself');
  splice(next, prev, from, prev[to] as number, to);
}

/**
 * Moves the list's head so that `node` becomes its first node: what stood before it goes to the
 * tail.
 * @param node on the list of `head` @context the list's lock
 */
export function listRotateTo(next: I32, prev: I32, head: number, node: number): void {
  if (next[head] === node) return;
  const first = next[head] as number;
  const last = prev[head] as number;
  next[last] = first;
  prev[first] = last;
  const before = prev[node] as number;
  next[before] = head;
  prev[head] = before;
  next[head] = node;
  prev[node] = head;
}

/**
 * Counts the nodes, checking every link on the way. For tests and the checking walkers.
 * @param limit nodes that a sound list can have at most; a longer walk throws (a loop)
 * @context the list's lock
 */
export function listCount(next: I32, prev: I32, head: number, limit: number): number {
  let count = 0;
  for (let node = head; ; count++) {
    const after = next[node] as number;
    assert(after >= 0 && after < next.length, 'list: link out of range');
    assert(prev[after] === node, 'list: prev and next disagree');
    if (after === head) return count;
    assert(count < limit, 'list: longer than its limit: a loop');
    node = after;
  }
}
