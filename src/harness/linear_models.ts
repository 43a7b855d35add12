// SPDX-License-Identifier: MIT
/**
 * Sequential objects that histories are checked against. Each names the operations that it knows,
 * with what they are given and what they return; an unknown one is a mistake of the recording, not
 * of the recorded, and throws.
 */
import type { Operation } from './history.ts';
import type { Applied, Model } from './linear_search.ts';

type Plain = string | number | boolean | bigint | null;

function unknown(model: string, operation: Operation): never {
  throw new TypeError(`the model '${model}' has no operation '${operation.name}'`);
}

/** `write(v)`, `read() -> v`, `exchange(v) -> old`, `cas([old, new]) -> boolean`. */
export function registerModel(initial: Plain = 0): Model<Plain> {
  return {
    name: 'register',
    init: () => initial,
    key: (state) => `${typeof state} ${state}`,
    apply(state, operation): Applied<Plain> {
      const arg = operation.arg as Plain;
      if (operation.name === 'read') return { state, result: state };
      if (operation.name === 'write') return { state: arg };
      if (operation.name === 'exchange') return { state: arg, result: state };
      if (operation.name !== 'cas') return unknown('register', operation);
      const [want, next] = operation.arg as [Plain, Plain];
      return want === state ? { state: next, result: true } : { state, result: false };
    },
  };
}

/** `add(n) -> the value before`, `get() -> the value`, `set(n)`. */
export function counterModel(initial = 0): Model<number> {
  return {
    name: 'counter',
    init: () => initial,
    apply(state, operation): Applied<number> {
      const arg = operation.arg as number;
      if (operation.name === 'add') return { state: state + arg, result: state };
      if (operation.name === 'get') return { state, result: state };
      if (operation.name === 'set') return { state: arg };
      return unknown('counter', operation);
    },
  };
}

/** FIFO without a bound: `push(v)`, `pop() -> v`, null when it is empty. */
export function queueModel(): Model<readonly Plain[]> {
  return {
    name: 'queue',
    init: () => [],
    apply(state, operation): Applied<readonly Plain[]> {
      if (operation.name === 'push') return { state: [...state, operation.arg as Plain] };
      if (operation.name !== 'pop') return unknown('queue', operation);
      return state.length === 0
        ? { state, result: null }
        : { state: state.slice(1), result: state[0] };
    },
  };
}

/** LIFO: `push(v)`, `pop() -> v`, null when it is empty. */
export function stackModel(): Model<readonly Plain[]> {
  return {
    name: 'stack',
    init: () => [],
    apply(state, operation): Applied<readonly Plain[]> {
      if (operation.name === 'push') return { state: [...state, operation.arg as Plain] };
      if (operation.name !== 'pop') return unknown('stack', operation);
      return state.length === 0
        ? { state, result: null }
        : { state: state.slice(0, -1), result: state.at(-1) };
    },
  };
}

/** `add(v)`, `delete(v)`, `has(v)`, each -> boolean: changed, or there. One part a value. */
export function setModel(): Model<number> {
  return {
    name: 'set',
    init: () => 0,
    partition: (operation) => operation.arg as string | number,
    apply(state, operation): Applied<number> {
      if (operation.name === 'add') return { state: 1, result: state === 0 };
      if (operation.name === 'delete') return { state: 0, result: state === 1 };
      if (operation.name === 'has') return { state, result: state === 1 };
      return unknown('set', operation);
    },
  };
}

/** `set([k, v])`, `get(k) -> v`, null when absent, `delete(k) -> boolean`. One part a key. */
export function mapModel(): Model<Plain> {
  return {
    name: 'map',
    init: () => null,
    key: (state) => `${typeof state} ${state}`,
    partition: ({ arg }) => (Array.isArray(arg) ? arg[0] : arg) as string | number,
    apply(state, operation): Applied<Plain> {
      if (operation.name === 'get') return { state, result: state };
      if (operation.name === 'delete') return { state: null, result: state !== null };
      if (operation.name !== 'set') return unknown('map', operation);
      return { state: (operation.arg as [Plain, Plain])[1] };
    },
  };
}

/**
 * `lock()`, `tryLock() -> boolean`, `unlock()`, by the thread that calls. State: the owner or -1.
 * @param spurious whether `tryLock` may fail on a free lock, as one that gives up early does
 */
export function mutexModel(spurious = false): Model<number> {
  return {
    name: 'mutex',
    init: () => -1,
    apply(state, operation): Applied<number> | null {
      const { name, thread, result } = operation;
      if (name === 'unlock') return state === thread ? { state: -1 } : null;
      if (name === 'lock') return state === -1 ? { state: thread } : null;
      if (name !== 'tryLock') return unknown('mutex', operation);
      if (result === false && spurious) return { state };
      return state === -1 ? { state: thread, result: true } : { state, result: false };
    },
  };
}

/**
 * FIFO of at most `capacity`: `push(v) -> boolean`, false when it is full; `pop() -> v`, null when
 * it is empty; `size() -> n`.
 * @param spurious whether `push` and `pop` may also give up, as behind a trylock that was busy
 */
export function ringModel(capacity: number, spurious = false): Model<readonly Plain[]> {
  return {
    name: `ring of ${capacity}`,
    init: () => [],
    apply(state, operation): Applied<readonly Plain[]> {
      const { name, arg, result, end } = operation;
      if (name === 'size') return { state, result: state.length };
      if (name !== 'push' && name !== 'pop') return unknown('ring', operation);
      const gaveUp = end !== null && (name === 'push' ? result === false : result === null);
      if (spurious && gaveUp) return { state };
      if (name === 'push') {
        if (state.length >= capacity) return { state, result: false };
        return { state: [...state, arg as Plain], result: true };
      }
      if (state.length === 0) return { state, result: null };
      return { state: state.slice(1), result: state[0] };
    },
  };
}

/**
 * Cache of at most `capacity` keys that drops the one that was not used for longest: `set([k, v])`,
 * `get(k) -> v`, null when absent; both make the key the youngest.
 * @param spurious whether both may also give up: `set` -> false (else true), `get` -> null
 */
export function lruModel(
  capacity: number,
  spurious = false,
): Model<readonly (readonly [Plain, Plain])[]> {
  return {
    name: `LRU of ${capacity}`,
    init: () => [],
    apply(state, operation): Applied<readonly (readonly [Plain, Plain])[]> {
      const { name, arg, result, end } = operation;
      const [key, value] = (Array.isArray(arg) ? arg : [arg, null]) as [Plain, Plain];
      const others = state.filter((entry) => entry[0] !== key);
      if (name === 'set') {
        if (spurious && end !== null && result === false) return { state };
        const next = [...others, [key, value] as const].slice(-capacity);
        return spurious ? { state: next, result: true } : { state: next };
      }
      if (name !== 'get') return unknown('lru', operation);
      if (spurious && end !== null && result === null) return { state };
      const found = state.find((entry) => entry[0] === key);
      if (found === undefined) return { state, result: null };
      return { state: [...others, found], result: found[1] };
    },
  };
}

/**
 * The same model for many objects at once, each a part of its own.
 * @param part names the object of an operation
 */
export function eachOf<S>(
  model: Model<S>,
  part: (operation: Operation) => string | number,
): Model<S> {
  return { ...model, partition: part };
}
