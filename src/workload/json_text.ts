// SPDX-License-Identifier: GPL-2.0-only
/**
 * JSON with places: what `JSON.parse` reads (RFC 8259), and for each value where in the text it
 * begins, so that a complaint about a value can say line and column. A name that stands twice in
 * one object is an error here.
 */

/** What is wrong with a text, and where. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  /** Character of the text, 0 the first. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** A text that was read. */
export interface JsonText {
  readonly value: unknown;
  /** Where each value begins, by its path: `workloads[0].apps`; '' is the whole. */
  readonly places: ReadonlyMap<string, number>;
}

/** Objects and arrays within each other. */
const DEPTH_MAX = 64;
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;

class Reader {
  readonly places = new Map<string, number>();
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): unknown {
    const value = this.#value('', 0);
    if (this.#at < this.#text.length) throw this.#bad('nothing more was expected');
    return value;
  }

  #value(path: string, depth: number): unknown {
    this.#space();
    this.places.set(path, this.#at);
    if (depth > DEPTH_MAX) throw this.#bad(`more than ${DEPTH_MAX} levels`);
    const value = this.#bare(path, depth);
    this.#space();
    return value;
  }

  #bare(path: string, depth: number): unknown {
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(path, depth);
    if (first === '[') return this.#array(path, depth);
    const plain =
      this.#match(WORD) ?? this.#match(NUMBER) ?? (first === '"' ? this.#string() : null);
    if (plain === null) throw this.#bad('a value was expected');
    return JSON.parse(plain);
  }

  #object(path: string, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at++;
    this.#space();
    if (this.#take('}')) return object;
    do {
      this.#space();
      const at = this.#at;
      if (this.#text[at] !== '"') throw this.#bad('a name in double quotes was expected');
      const name = JSON.parse(this.#string()) as string;
      if (Object.hasOwn(object, name)) throw new JsonError('the name stands here twice', at);
      this.#space();
      if (!this.#take(':')) throw this.#bad("':' was expected");
      const value = this.#value(path === '' ? name : `${path}.${name}`, depth + 1);
      // Not an assignment, which '__proto__' would take for the prototype.
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true });
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#bad("',' or '}' was expected");
    return object;
  }

  #array(path: string, depth: number): unknown[] {
    const array: unknown[] = [];
    this.#at++;
    this.#space();
    if (this.#take(']')) return array;
    do array.push(this.#value(`${path}[${array.length}]`, depth + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#bad("',' or ']' was expected");
    return array;
  }

  /** @returns a string as it stands, in its quotes */
  #string(): string {
    const text = this.#match(STRING);
    if (text === null) throw this.#bad('a string without end, or with a character that cannot be');
    return text;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0];
    if (text === undefined) return null;
    this.#at += text.length;
    return text;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #bad(expected: string): JsonError {
    const ends = this.#at >= this.#text.length;
    return new JsonError(ends ? `the text ends where ${expected}` : expected, this.#at);
  }
}

/** @param text without a byte order mark @throws JsonError */
export function readJson(text: string): JsonText {
  const reader = new Reader(text);
  return { value: reader.whole(), places: reader.places };
}

/** @returns `3:17`, the line and the column of a character of a text, both from 1 */
export function lineColumn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return `${line}:${offset - before.lastIndexOf('\n')}`;
}
