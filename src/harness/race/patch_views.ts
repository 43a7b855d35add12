// SPDX-License-Identifier: MIT
/**
 * Replaces the methods by which views are read and written in one go: those of typed arrays and of
 * DataView, for instrumented code and for code that is not.
 *
 *   whole ranges      set, fill, copyWithin, slice, indexOf, sort, join ...: before the call
 *   element by element   forEach, map, reduce, iteration ...: before each callback, at each `next`,
 *                     since the callback may synchronise
 *   DataView          get and set, byte by byte, whatever their alignment
 *
 * Off the threads' memory, and while the thread is not looked at, a call goes straight on. Not
 * seen: memory that native code reads by itself (`new Int32Array(view)`, TextDecoder, Buffer's own
 * methods, WebAssembly).
 */

import { callerPlace } from './caller.ts';
import { DATA_VIEW_ELEMENTS, ELEMENT_METHODS } from './method_names.ts';
import { plainAccess, probe, type SharedView, sharedView, takeCall } from './probe.ts';

type View = Int32Array;
type Method = (this: View, ...args: unknown[]) => unknown;
type Methods = Record<PropertyKey, Method>;

const TypedArray = Object.getPrototypeOf(Int32Array.prototype) as Methods;
const viewPrototype = DataView.prototype as unknown as Methods;

/** Site word of the call that is made: noted by instrumented code, else looked for in the stack. */
function callSite(): number {
  return takeCall() || (probe.names?.place(callerPlace()) ?? 0);
}

/** What is known of a view whose accesses are looked at, null for any other. */
function looked(o: unknown): SharedView | null {
  return probe.active ? sharedView(o) : null;
}

/** An element access of elements first .. last-1. */
function access(
  known: SharedView,
  first: number,
  last: number,
  write: boolean,
  site: number,
): void {
  if (last <= first) return;
  plainAccess(known.base + first * known.size, (last - first) * known.size, write, site);
}

/** @returns an index as methods take it: from the end when negative, within 0 .. length */
function relative(value: unknown, length: number, missing: number): number {
  if (value === undefined) return missing;
  const i = Math.trunc(Number(value)) || 0;
  return i < 0 ? Math.max(length + i, 0) : Math.min(i, length);
}

function replace(target: Methods, name: PropertyKey, make: (native: Method) => Method): void {
  const native = target[name];
  if (typeof native !== 'function') return;
  const patched = make(native);
  for (const field of ['name', 'length'] as const) {
    Object.defineProperty(patched, field, { value: native[field], configurable: true });
  }
  Object.defineProperty(target, name, {
    value: patched,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** A method that reads, or reads and writes, all of its view. */
function whole(name: string, reads: boolean, writes: boolean): void {
  replace(
    TypedArray,
    name,
    (native) =>
      function (...args) {
        const known = looked(this);
        if (known !== null) {
          const site = callSite();
          if (reads) access(known, 0, this.length, false, site);
          if (writes) access(known, 0, this.length, true, site);
        }
        return native.apply(this, args);
      },
  );
}

function patchRanges(): void {
  replace(
    TypedArray,
    'fill',
    (native) =>
      function (...args) {
        const known = looked(this);
        if (known !== null) {
          const n = this.length;
          access(known, relative(args[1], n, 0), relative(args[2], n, n), true, callSite());
        }
        return native.apply(this, args);
      },
  );
  replace(
    TypedArray,
    'slice',
    (native) =>
      function (...args) {
        const known = looked(this);
        if (known !== null) {
          const n = this.length;
          access(known, relative(args[0], n, 0), relative(args[1], n, n), false, callSite());
        }
        return native.apply(this, args);
      },
  );
  replace(
    TypedArray,
    'copyWithin',
    (native) =>
      function (...args) {
        const known = looked(this);
        if (known !== null) {
          const n = this.length;
          const to = relative(args[0], n, 0);
          const from = relative(args[1], n, 0);
          const count = Math.min(relative(args[2], n, n) - from, n - to);
          const site = callSite();
          access(known, from, from + count, false, site);
          access(known, to, to + count, true, site);
        }
        return native.apply(this, args);
      },
  );
  replace(
    TypedArray,
    'set',
    (native) =>
      function (...args) {
        const source = args[0] as ArrayLike<unknown> | undefined;
        const to = looked(this);
        const from = looked(source);
        if (to !== null || from !== null) {
          const count = source?.length ?? 0;
          const at = Math.trunc(Number(args[1] ?? 0)) || 0;
          const site = callSite();
          if (from !== null) access(from, 0, count, false, site);
          if (to !== null && at >= 0 && at + count <= this.length) {
            access(to, at, at + count, true, site);
          }
        }
        return native.apply(this, args);
      },
  );
}

/** Methods that give each element to a callback. */
const CALLBACKS = new Set<string>([
  'every',
  'filter',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'forEach',
  'map',
  'some',
]);

function patchCallbacks(): void {
  for (const name of ELEMENT_METHODS) {
    if (CALLBACKS.has(name)) {
      replace(
        TypedArray,
        name,
        (native) =>
          function (...args) {
            const known = looked(this);
            const fn = args[0];
            if (known === null || typeof fn !== 'function') return native.apply(this, args);
            const site = callSite();
            const each = function (
              this: unknown,
              value: unknown,
              i: number,
              view: unknown,
            ): unknown {
              access(known, i, i + 1, false, site);
              return fn.call(this, value, i, view);
            };
            return native.call(this, each, ...args.slice(1));
          },
      );
    } else if (name === 'reduce' || name === 'reduceRight') {
      replace(
        TypedArray,
        name,
        (native) =>
          function (...args) {
            const known = looked(this);
            const fn = args[0];
            if (known === null || typeof fn !== 'function') return native.apply(this, args);
            const site = callSite();
            if (args.length < 2) {
              const first = name === 'reduce' ? 0 : this.length - 1;
              access(known, first, first + 1, false, site);
            }
            const each = (sum: unknown, value: unknown, i: number, view: unknown): unknown => {
              access(known, i, i + 1, false, site);
              return fn(sum, value, i, view);
            };
            return native.call(this, each, ...args.slice(1));
          },
      );
    }
  }
  replace(
    TypedArray,
    'at',
    (native) =>
      function (...args) {
        const known = looked(this);
        if (known !== null) {
          const i = Math.trunc(Number(args[0])) || 0;
          const at = i < 0 ? this.length + i : i;
          if (at >= 0 && at < this.length) access(known, at, at + 1, false, callSite());
        }
        return native.apply(this, args);
      },
  );
}

function patchIterators(): void {
  for (const name of ['values', 'entries'] as const) {
    replace(
      TypedArray,
      name,
      (native) =>
        function () {
          const iterator = native.call(this) as Iterator<unknown> & object;
          const known = looked(this);
          if (known === null) return iterator;
          const site = callSite();
          let i = 0;
          const next = iterator.next.bind(iterator);
          Object.defineProperty(iterator, 'next', {
            value: () => {
              if (i < this.length) access(known, i, i + 1, false, site);
              i++;
              return next();
            },
            configurable: true,
            writable: true,
          });
          return iterator;
        },
    );
  }
  Object.defineProperty(TypedArray, Symbol.iterator, {
    value: TypedArray.values,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

function patchDataView(): void {
  for (const [name, bytes] of DATA_VIEW_ELEMENTS) {
    for (const verb of ['get', 'set'] as const) {
      replace(
        viewPrototype,
        `${verb}${name}`,
        (native) =>
          function (...args) {
            if (probe.active)
              dataViewAccess(this as unknown as DataView, args[0], bytes, verb === 'set');
            return native.apply(this, args);
          },
      );
    }
  }
}

function dataViewAccess(view: DataView, offset: unknown, bytes: number, write: boolean): void {
  const known = sharedView(view);
  if (known === null) return;
  const at = Math.trunc(Number(offset ?? 0)) || 0;
  if (at < 0 || at + bytes > view.byteLength) return;
  plainAccess(known.base + at, bytes, write, callSite());
}

let patched = false;

/** Patches the prototypes of this thread's views. @context before the code under test loads */
export function patchViews(): void {
  if (patched) return;
  patched = true;
  patchRanges();
  patchCallbacks();
  patchIterators();
  patchDataView();
  for (const name of ['includes', 'indexOf', 'join', 'lastIndexOf', 'toLocaleString', 'toString']) {
    whole(name, true, false);
  }
  for (const name of ['toReversed', 'toSorted', 'with']) whole(name, true, false);
  for (const name of ['reverse', 'sort']) whole(name, true, true);
}
