// SPDX-License-Identifier: GPL-2.0-only
/**
 * Fields of scenario files, as schemas with bounds, a default and a description. From these the
 * validator, the JSON Schema, the options of the command line and the tables of the document are
 * all made.
 */
import * as v from 'valibot';
import { UsageError } from '../errors.ts';
import { parseSize } from '../size.ts';

const isSize = (value: string | number): boolean => {
  try {
    parseSize('', value);
    return true;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
};

/** A whole number within bounds. */
export function integer(low: number, high: number) {
  const message = `give an integer in ${low}..${high}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(low, message),
    v.maxValue(high, message),
  );
}

/** A number within bounds. */
export function number(low: number, high: number) {
  const message = `give a number in ${low}..${high}`;
  return v.pipe(v.number(message), v.minValue(low, message), v.maxValue(high, message));
}

const SIZE_HINT = 'give a size such as 64M, or 50% of the memory';
/** Bytes at scale 1, or a part of the memory. */
export const size = v.pipe(
  v.union([v.string(), v.number()], SIZE_HINT),
  v.check(isSize, SIZE_HINT),
);

/** Text that is not empty. */
export const text = v.pipe(v.string('give a text'), v.minLength(1, 'give a text'));

/** True or false. */
export const flag = v.boolean('give true or false');

/** CPUs by their numbers. */
export const cpuList = v.pipe(
  v.array(integer(0, 31), 'give a list of CPUs'),
  v.minLength(1, 'give at least one CPU'),
);

/** A field that may be left out: then it is `fallback`. */
export function field<S extends v.GenericSchema>(
  schema: S,
  description: string,
  fallback: v.InferInput<S>,
) {
  const optional = v.optional(schema, fallback as never);
  return v.pipe(optional, v.description<v.InferOutput<typeof optional>, string>(description));
}

/** A field that may be left out: then the kind works it out. */
export function open<S extends v.GenericSchema>(schema: S, description: string) {
  const optional = v.optional(schema, undefined);
  return v.pipe(optional, v.description<v.InferOutput<typeof optional>, string>(description));
}

/** For how long a workload runs, where it is not a fixed amount of work. */
export const seconds = open(
  number(0.001, 1e6),
  'run for so many seconds, instead of a fixed amount of work; virtual if deterministic',
);
