// SPDX-License-Identifier: GPL-2.0-only
/** The version of this package. */
import { readFileSync } from 'node:fs';

/** @returns what package.json says */
export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
