// SPDX-License-Identifier: GPL-2.0-only
/**
 * The linearizability checker, against a brute-force one on small random histories, on histories
 * known to be right or wrong, and on ten thousand operations.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng } from '../../../dist/shared/prng.js';
import {
  formatOperation,
  type History,
  mergeHistories,
  type Operation,
  Recorder,
} from '../../../dist/src/harness/history.js';
import {
  counterModel,
  eachOf,
  lruModel,
  mapModel,
  mutexModel,
  queueModel,
  registerModel,
  ringModel,
  setModel,
  stackModel,
} from '../../../dist/src/harness/linear_models.js';
import { tryApply } from '../../../dist/src/harness/linear_search.js';
import {
  assertLinearizable,
  linearizable,
  type Model,
  NotLinearizable,
} from '../../../dist/src/harness/linearizability.js';

/** `T0 push 1 -> true @ 1-4` and `T1 pop @ 2` (pending), one a line. */
function history(text: string): History {
  const lines = text.trim().split('\n');
  return lines.map((line) => {
    const [, thread, name, arg, result, call, end] =
      /T(\d+) (\w+)(?: (\S+))?(?: -> (\S+))? @ (\d+)(?:-(\d+))?/.exec(line) as RegExpExecArray;
    const value = (text: string | undefined) => (text === undefined ? undefined : JSON.parse(text));
    return {
      thread: Number(thread),
      name: name as string,
      arg: value(arg),
      result: value(result),
      call: Number(call),
      end: end === undefined ? null : Number(end),
    };
  });
}

/** Every order of every choice of pending operations that respects precedence. */
function bruteForce<S>(operations: History, model: Model<S>): boolean {
  const left = new Set(operations);
  const search = (state: S): boolean => {
    if ([...left].every((operation) => operation.end === null)) return true;
    for (const operation of [...left]) {
      const late = [...left].some(({ end }) => end !== null && end < operation.call);
      if (late) continue;
      const applied = tryApply(model, state, operation);
      if (applied === null) continue;
      left.delete(operation);
      const found = search(applied.state);
      left.add(operation);
      if (found) return true;
    }
    return false;
  };
  return search(model.init());
}

const CALLS: Record<string, readonly [string, unknown][]> = {
  register: [
    ['read', undefined],
    ['write', 1],
    ['write', 2],
    ['cas', [1, 2]],
  ],
  queue: [
    ['push', 1],
    ['push', 2],
    ['pop', undefined],
  ],
  stack: [
    ['push', 1],
    ['push', 2],
    ['pop', undefined],
  ],
  mutex: [
    ['tryLock', undefined],
    ['lock', undefined],
    ['unlock', undefined],
  ],
  counter: [
    ['add', 1],
    ['get', undefined],
  ],
};
const RESULTS: Record<string, readonly unknown[]> = {
  read: [0, 1, 2],
  cas: [true, false],
  pop: [null, 1, 2],
  tryLock: [true, false],
  add: [0, 1, 2],
  get: [0, 1, 2],
};

/** Up to 3 threads, up to 3 operations each, with random overlaps, results and pending ends. */
function randomHistory(kind: string): fc.Arbitrary<History> {
  const calls = CALLS[kind] as readonly [string, unknown][];
  const one = fc.record({ call: fc.nat(calls.length - 1), result: fc.nat(5), order: fc.nat(9) });
  const threads = fc.array(fc.array(one, { maxLength: 3 }), { minLength: 1, maxLength: 3 });
  return fc.record({ threads, seed: fc.nat(), cut: fc.nat(20) }).map(({ threads, seed, cut }) => {
    const prng = new Prng(seed);
    const queues = threads.map((operations) => operations.flatMap((op) => [op, op]));
    const open = new Map<number, { -readonly [K in keyof Operation]: Operation[K] }>();
    const made: Operation[] = [];
    for (let stamp = 0; queues.some((queue) => queue.length > 0); stamp++) {
      const ready = queues.flatMap((queue, at) => (queue.length > 0 ? [at] : []));
      const thread = ready[prng.below(ready.length)] as number;
      const step = (queues[thread] as { call: number; result: number }[]).shift();
      if (step === undefined || stamp > cut) break;
      const running = open.get(thread);
      if (running !== undefined) {
        const results = RESULTS[running.name];
        running.result = results?.[step.result % results.length];
        running.end = stamp;
        open.delete(thread);
        continue;
      }
      const [name, arg] = calls[step.call] as [string, unknown];
      const entry = { thread, name, arg, result: undefined, call: stamp, end: null };
      open.set(thread, entry);
      made.push(entry);
    }
    return made;
  });
}

const MODELS: Record<string, Model<never>> = {
  register: registerModel() as unknown as Model<never>,
  queue: queueModel() as unknown as Model<never>,
  stack: stackModel() as unknown as Model<never>,
  mutex: mutexModel() as unknown as Model<never>,
  counter: counterModel() as unknown as Model<never>,
};

describe('linearizable: against brute force', () => {
  test.each(Object.keys(MODELS))('%s: random histories of three threads', (kind) => {
    const model = MODELS[kind] as Model<never>;
    let yes = 0;
    fc.assert(
      fc.property(randomHistory(kind), (operations) => {
        const verdict = linearizable(operations, model);
        expect(verdict.ok).toBe(bruteForce(operations, model));
        yes += Number(verdict.ok);
        if (verdict.ok) return;
        const prefix = verdict.longest;
        expect(verdict.verdict).toBe('violation');
        expect(prefix?.stuck).not.toBeNull();
        let state = model.init();
        for (const operation of prefix?.order ?? []) {
          const applied = tryApply(model, state, operation);
          expect(applied).not.toBeNull();
          state = applied?.state as never;
        }
        expect(state).toEqual(prefix?.state);
      }),
      { numRuns: 1500, seed: 7 },
    );
    expect(yes).toBeGreaterThan(100);
    expect(yes).toBeLessThan(1500);
  });
});

describe('linearizable: known histories', () => {
  test('an overlapping pop may come first, a preceding one may not', () => {
    const overlapping = history('T0 push 1 @ 1-4\nT1 pop -> 1 @ 2-3');
    const preceding = history('T1 pop -> 1 @ 1-2\nT0 push 1 @ 3-4');
    expect(linearizable(overlapping, queueModel()).ok).toBe(true);
    expect(linearizable(preceding, queueModel()).ok).toBe(false);
  });

  test('a queue that overtakes: data and text name the operation', () => {
    const verdict = linearizable(
      history('T0 push 1 @ 1-2\nT0 push 2 @ 3-4\nT1 pop -> 2 @ 5-8\nT2 pop -> 1 @ 9-10'),
      queueModel(),
    );
    expect(verdict.verdict).toBe('violation');
    expect(verdict.longest?.order.map(formatOperation)).toEqual(['push(1)', 'push(2)']);
    expect(verdict.longest?.stuck?.name).toBe('pop');
    expect(verdict.longest?.state).toEqual([1, 2]);
    expect(verdict.text.split('\n')).toEqual([
      "not linearizable by the model 'queue': nothing explains T1 pop() -> 2",
      '',
      '  explained:   T0 push(1), T0 push(2)',
      '  state then:  [1,2]',
      '  not next:    T1 pop() -> 2: the model answers 1',
      '',
      '  T0 [push(1)] [push(2)]',
      '  T1                     [pop() -> 2]',
    ]);
  });

  test('a pending operation may have taken effect, or not', () => {
    const pending = 'T0 push 1 @ 1\n';
    expect(linearizable(history(`${pending}T1 pop -> 1 @ 2-3`), queueModel()).ok).toBe(true);
    expect(linearizable(history(`${pending}T1 pop -> null @ 2-3`), queueModel()).ok).toBe(true);
    expect(linearizable(history(`${pending}T1 pop -> 2 @ 2-3`), queueModel()).ok).toBe(false);
    const twice = history(`${pending}T1 pop -> 1 @ 2-3\nT1 pop -> 1 @ 4-5`);
    expect(linearizable(twice, queueModel()).ok).toBe(false);
  });

  test('two holders of a mutex; trylock that gives up', () => {
    const two = 'T0 lock @ 1-2\nT1 tryLock -> true @ 3-4\nT0 unlock @ 5-6';
    expect(linearizable(history(two), mutexModel()).ok).toBe(false);
    const free = 'T0 tryLock -> false @ 1-2';
    expect(linearizable(history(free), mutexModel()).ok).toBe(false);
    expect(linearizable(history(free), mutexModel(true)).ok).toBe(true);
  });

  test('a map and a set are searched key by key', () => {
    const keys = 'T0 set ["a",1] @ 1-2\nT1 set ["b",2] @ 1-4\nT0 get "a" -> 1 @ 5-6';
    expect(linearizable(history(keys), mapModel())).toMatchObject({ ok: true, parts: 2 });
    const stale = linearizable(history(`${keys}\nT1 get "a" -> null @ 7-8`), mapModel());
    expect(stale.longest?.part).toBe('a');
    const twice = 'T0 add 1 -> true @ 1-3\nT1 add 1 -> true @ 2-4';
    expect(linearizable(history(twice), setModel()).ok).toBe(false);
  });

  test('a ring that loses the last slot, and one that overfills', () => {
    const full = 'T0 push 1 -> true @ 1-2\nT0 push 2 -> false @ 3-4';
    expect(linearizable(history(full), ringModel(1)).ok).toBe(true);
    expect(linearizable(history(full), ringModel(2)).ok).toBe(false);
    expect(linearizable(history(full), ringModel(2, true)).ok).toBe(true);
  });

  test('events of one thread may share a stamp', () => {
    const text = 'T0 push 1 @ 1-1\nT0 push 2 @ 1-3\nT1 pop -> 1 @ 4-4\nT1 pop -> 2 @ 4-5';
    expect(linearizable(history(text), queueModel()).ok).toBe(true);
    expect(linearizable(history(text.replace('-> 2', '-> null')), queueModel()).ok).toBe(false);
  });

  test('assertLinearizable throws the text, with the verdict', () => {
    const wrong = history('T0 pop -> 1 @ 1-2');
    expect(() => assertLinearizable(wrong, queueModel())).toThrow(NotLinearizable);
    expect(() => assertLinearizable(wrong, queueModel())).toThrow(/nothing explains T0 pop/);
    expect(assertLinearizable([], queueModel()).verdict).toBe('linearizable');
  });

  test('an operation that the model does not know throws', () => {
    expect(() => linearizable(history('T0 shove 1 @ 1-2'), queueModel())).toThrow(/'shove'/);
  });
});

/** Histories as a lock-protected object gives them: effects inside, calls and ends around. */
function recorded(
  operations: number,
  threads: number,
  call: (prng: Prng) => readonly [string, unknown],
  effect: (name: string, arg: unknown, prng: Prng) => unknown,
): Operation[] {
  const prng = new Prng(11);
  const open: ({ -readonly [K in keyof Operation]: Operation[K] } | null)[] = [];
  const done = new Set<unknown>();
  const made: Operation[] = [];
  for (let stamp = 0; ; stamp++) {
    const thread = prng.below(threads);
    const running = open[thread] ?? null;
    if (running === null) {
      if (made.length === operations) break;
      const [name, arg] = call(prng);
      const entry = { thread, name, arg, result: undefined, call: stamp, end: null };
      open[thread] = entry;
      made.push(entry);
    } else if (!done.has(running)) {
      running.result = effect(running.name, running.arg, prng);
      done.add(running);
    } else {
      running.end = stamp;
      open[thread] = null;
    }
  }
  return made;
}

/** A model of 16 objects: arguments are [object, argument]. */
function sharded<S>(model: Model<S>): Model<S> {
  const each = eachOf(model, ({ arg }) => (arg as [number])[0]);
  const inner = (operation: Operation) => ({ ...operation, arg: (operation.arg as unknown[])[1] });
  return { ...each, apply: (state, operation) => model.apply(state, inner(operation)) };
}

describe('linearizable: size', () => {
  const rings = Array.from({ length: 16 }, () => [] as number[]);
  let value = 0;
  const ringHistory = recorded(
    10_000,
    4,
    (prng) => {
      const ring = prng.below(16);
      return prng.below(2) === 0 ? ['push', [ring, value++]] : ['pop', [ring]];
    },
    (name, arg, prng) => {
      const [ring, pushed] = arg as [number, number];
      const busy = prng.below(8) === 0;
      const items = rings[ring] as number[];
      if (name === 'pop') return busy ? null : (items.shift() ?? null);
      if (busy || items.length === 64) return false;
      items.push(pushed);
      return true;
    },
  );
  const model = sharded(ringModel(64, true));

  test('10,000 operations on 16 trylocked rings, four threads, in less than 5 s', () => {
    const started = performance.now();
    const verdict = linearizable(ringHistory, model, { timeoutMs: 5000 });
    expect(verdict).toMatchObject({ ok: true, parts: 16 });
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('10,000 operations on 16 trylocked LRU caches, four threads, in less than 5 s', () => {
    const caches = Array.from({ length: 16 }, () => new Map<number, number>());
    const history = recorded(
      10_000,
      4,
      (prng) => {
        const [shard, key] = [prng.below(16), prng.below(12)];
        return prng.below(2) === 0 ? ['set', [shard, [key, value++]]] : ['get', [shard, key]];
      },
      (name, arg, prng) => {
        if (prng.below(8) === 0) return name === 'get' ? null : false;
        const [shard, given] = arg as [number, number | [number, number]];
        const cache = caches[shard] as Map<number, number>;
        const [key, put] = (Array.isArray(given) ? given : [given]) as [number, number];
        const old = cache.get(key);
        if (name === 'get' && old === undefined) return null;
        cache.delete(key);
        cache.set(key, name === 'get' ? (old as number) : put);
        if (cache.size > 8) cache.delete(cache.keys().next().value as number);
        return name === 'get' ? old : true;
      },
    );
    const started = performance.now();
    const verdict = linearizable(history, sharded(lruModel(8, true)), { timeoutMs: 5000 });
    expect(verdict).toMatchObject({ verdict: 'linearizable', parts: 16 });
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('one wrong result among 10,000 is found, with all before it explained', () => {
    const at = ringHistory.findIndex(
      ({ name, result, call }) => name === 'pop' && result !== null && call > 15_000,
    );
    const wrong = ringHistory.map((operation, index) =>
      index === at ? { ...operation, result: -1 } : operation,
    );
    const bad = wrong[at] as Operation;
    const verdict = linearizable(wrong, model, { timeoutMs: 5000 });
    expect(verdict.verdict).toBe('violation');
    expect(verdict.longest?.candidates.some(({ operation }) => operation === bad)).toBe(true);
    const part = (bad.arg as [number])[0];
    const before = wrong.filter(
      ({ arg, end }) => (arg as [number])[0] === part && (end ?? 0) < bad.call,
    );
    expect(verdict.longest?.order.length).toBeGreaterThanOrEqual(before.length);
  });

  test('the time is up: the longest prefix comes as data', () => {
    // Pushes that all overlap, then pops in an order that no memory of failures cuts short.
    const values = Array.from({ length: 11 }, (_, at) => at);
    const hard = [
      ...values.map((at) => ({
        thread: at,
        name: 'push',
        arg: at,
        result: undefined,
        call: at,
        end: 100 + at,
      })),
      { thread: 0, name: 'pop', arg: undefined, result: 99, call: 200, end: 201 },
    ];
    const verdict = linearizable(hard, queueModel(), { timeoutMs: 20 });
    expect(verdict.verdict).toBe('timeout');
    expect(verdict.longest?.order.length).toBe(11);
    expect(verdict.text).toContain('not known to be linearizable');
  });
});

describe('histories', () => {
  test('a recorder stamps calls and ends; what throws stays pending', () => {
    let stamp = 0;
    const recorders = [0, 1].map((thread) => new Recorder(thread, () => stamp++));
    expect(recorders[0]?.record('pop', undefined, () => 5)).toBe(5);
    const fail = () => {
      throw new RangeError('gone');
    };
    expect(() => recorders[1]?.record('push', 1, fail)).toThrow('gone');
    const merged = mergeHistories(recorders.map((recorder) => recorder.operations));
    expect(structuredClone(merged)).toEqual([
      { thread: 0, name: 'pop', arg: undefined, result: 5, call: 0, end: 1 },
      { thread: 1, name: 'push', arg: 1, result: undefined, call: 2, end: null },
    ]);
    expect(merged.map(formatOperation)).toEqual(['pop() -> 5', 'push(1) ...']);
    recorders[1]?.clear();
    expect(recorders[1]?.operations).toEqual([]);
  });
});
