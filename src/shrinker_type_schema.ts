// SPDX-License-Identifier: GPL-2.0-only
/**
 * How a configuration names shrinker types of the user's own: a module and its export, which every
 * thread of the machine loads at boot. A path is taken from the working directory, so that a
 * configuration file can name a module beside it; what a report shows is its URL.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import type { ShrinkerTypeConfig } from './mm/config.ts';
import { SHRINKER_NAME_BYTES } from './mm/shrinker_types.ts';

/** Types of one machine: more than anybody compares. */
const TYPES_MAX = 64;
const NAME_MAX = SHRINKER_NAME_BYTES - 1;
const NAME_HINT = `give each a name of 1..${NAME_MAX} letters, digits, - and _`;
const NAME = new RegExp(`^[A-Za-z0-9_-]{1,${NAME_MAX}}$`);

/** `file:`, `data:` and their like; a drive letter is no scheme. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

function moduleUrl(module: string): string {
  return SCHEME.test(module) ? module : pathToFileURL(resolve(module)).href;
}

const text = v.pipe(v.string('give a text'), v.nonEmpty('give a text that is not empty'));

const shrinkerType = v.strictObject({
  name: v.pipe(v.string(NAME_HINT), v.regex(NAME, NAME_HINT)),
  module: v.pipe(text, v.transform(moduleUrl)),
  export: text,
  args: v.optional(v.unknown(), null),
});

function unique(types: ShrinkerTypeConfig[]): boolean {
  return new Set(types.map(({ name }) => name)).size === types.length;
}

/** `[{ name, module, export, args }]` */
export const shrinkerTypesSchema = v.pipe(
  v.array(shrinkerType, 'give [{ name, module, export, args }]'),
  v.maxLength(TYPES_MAX, `give at most ${TYPES_MAX} types`),
  v.check(unique, 'give each type a name of its own'),
);
