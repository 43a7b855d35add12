// SPDX-License-Identifier: GPL-2.0-only
/**
 * Numbers in lines of text, read straight from bytes: a trace of text has millions of lines, and a
 * string for each would cost more than all the rest.
 */
import { oneLine } from '../errors.ts';

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const LINE_SHOWN_CHARS = 40;

/** A cursor over the lines of a text. `start` and `end` bound the current one, without its end. */
export class LineCursor {
  readonly bytes: Buffer;
  /** Number of the current line, from 1. */
  line = 0;
  start = 0;
  end = 0;
  #next = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Moves to the next line. @returns false at the end of the text */
  next(): boolean {
    if (this.#next >= this.bytes.length) return false;
    this.start = this.#next;
    const found = this.bytes.indexOf(NEWLINE, this.start);
    this.end = found < 0 ? this.bytes.length : found;
    this.#next = this.end + 1;
    if (this.end > this.start && this.bytes[this.end - 1] === CARRIAGE_RETURN) this.end--;
    this.line++;
    return true;
  }

  /** The current line for a message, cut and quoted. */
  show(): string {
    return `'${oneLine(this.text(LINE_SHOWN_CHARS + 1), LINE_SHOWN_CHARS)}'`;
  }

  /** The current line's first characters. */
  text(charsMax: number): string {
    return this.bytes.toString('latin1', this.start, Math.min(this.end, this.start + charsMax));
  }
}

/** @returns the value of a digit in bases up to 16, or 16 for any other byte */
export function digitValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : 16;
}

/**
 * Reads the digits at `from` up to `to`.
 * @param base 10 or 16
 * @returns the number, rounded past 2^53; NaN where there are no digits or other characters
 */
export function parseDigits(bytes: Buffer, from: number, to: number, base: number): number {
  if (from >= to) return Number.NaN;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = digitValue(bytes[i]!);
    if (digit >= base) return Number.NaN;
    value = value * base + digit;
  }
  return value;
}
