// SPDX-License-Identifier: MIT
/** A source that cannot be read. */

/** Its message is one line, `file:line:column: reason`. */
export class SourceError extends SyntaxError {
  override readonly name = 'SourceError';
}
