// SPDX-License-Identifier: MIT
/**
 * Assertions that stay on. A broken invariant throws `BugError`; the thread runtime turns it into a
 * panic that stops the machine. Messages are literals: nothing is formatted on the way that holds.
 */

/**
 * An invariant of the product did not hold. Never caught except by the thread runtime and by tests.
 */
export class BugError extends Error {
  override readonly name = 'BugError';
}

/**
 * Throws `BugError` unless `condition` holds. `message` must be a literal: it is built every call.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** Throws `BugError`. For branches that build their message only when they fail. */
export function bug(message: string): never {
  throw new BugError(message);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new BugError(`unreachable value ${String(value)}`);
}
