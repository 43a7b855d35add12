// SPDX-License-Identifier: MIT
/**
 * Elements that destructuring or a loop assigns to: the language evaluates object and key first,
 * and stores when it has a value. An object with a setter does the same.
 */
import { type Site, write } from './probe.ts';

/** `[target(a, i, site).v] = x` is `[a[i]] = x` in strict code. */
class StrictTarget {
  readonly #object: Record<PropertyKey, unknown>;
  readonly #key: PropertyKey;
  readonly #site: Site;

  constructor(object: unknown, key: unknown, site: Site) {
    this.#object = object as Record<PropertyKey, unknown>;
    this.#key = key as PropertyKey;
    this.#site = site;
  }

  set v(value: unknown) {
    write(this.#object, this.#key, value, this.#site);
    this.#object[this.#key] = value;
  }
}

/** The same in sloppy code, where a store that is refused is ignored. */
class LooseTarget {
  readonly #object: unknown;
  readonly #key: PropertyKey;
  readonly #site: Site;

  constructor(object: unknown, key: unknown, site: Site) {
    this.#object = object;
    this.#key = key as PropertyKey;
    this.#site = site;
  }

  set v(value: unknown) {
    const object = this.#object;
    write(object, this.#key, value, this.#site);
    if (object === null || object === undefined) {
      (object as unknown as Record<PropertyKey, unknown>)[this.#key] = value;
    }
    Reflect.set(Object(object), this.#key, value, object);
  }
}

/** @returns something whose `v` is the element, for strict code */
export function strictTarget(object: unknown, key: unknown, site: Site): { v: unknown } {
  return new StrictTarget(object, key, site) as { v: unknown };
}

/** @returns something whose `v` is the element, for sloppy code */
export function looseTarget(object: unknown, key: unknown, site: Site): { v: unknown } {
  return new LooseTarget(object, key, site) as { v: unknown };
}
