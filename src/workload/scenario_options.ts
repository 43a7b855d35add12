// SPDX-License-Identifier: GPL-2.0-only
/** Fields of workloads as options of the command line, and what is given there as their values. */
import * as v from 'valibot';
import { oneLine, UsageError } from '../errors.ts';
import { number } from './kind_fields.ts';
import type { AnyKind } from './kind_types.ts';
import { SCALE_MAX } from './scenario_schema.ts';
import type { FileWorkload } from './scenario_text.ts';
import { type ScenarioOption, scenarioFlag } from './scenario_types.ts';

type Given = Readonly<Record<string, string | number | boolean>>;

/** A schema without the `optional` around it. */
function inner(schema: v.GenericSchema): v.GenericSchema {
  let at = schema as v.GenericSchema & { wrapped?: v.GenericSchema };
  while (at.wrapped !== undefined) at = at.wrapped;
  return at;
}

/** What a field takes on the command line; null for one that has no option. */
function valueText(schema: v.GenericSchema): string | null {
  const values: Readonly<Record<string, string>> = {
    number: '<n>',
    string: '<text>',
    union: '<size>',
    boolean: '',
    picklist: '<name>',
  };
  return values[inner(schema).type] ?? null;
}

const describe = (schema: v.GenericSchema): string => {
  const fallback = (schema as { default?: unknown }).default;
  const text = v.getDescription(schema as never) ?? '';
  return fallback === undefined ? text : `${text} (default: ${String(fallback)})`;
};

/** Options of a kind: one for each field that is no list. */
export function kindOptions(kind: AnyKind): ScenarioOption[] {
  return Object.entries(kind.fields).flatMap(([name, schema]) => {
    const value = valueText(schema as v.GenericSchema);
    return value === null
      ? []
      : [{ name, value, description: describe(schema as v.GenericSchema) }];
  });
}

export const SCALE_OPTION: ScenarioOption = {
  name: 'scale',
  value: '<n>',
  description:
    'memory of 64 MiB times this, and all that follows (default: what the file says, or 1)',
};

/** @returns the options of all, each once */
export function uniqueOptions(options: readonly ScenarioOption[]): ScenarioOption[] {
  return [...new Map(options.map((option) => [option.name, option])).values()];
}

/** A text as the field's type has it, where it can be. */
function coerce(schema: v.GenericSchema, given: string | number | boolean): unknown {
  const { type } = inner(schema);
  if (typeof given !== 'string') return given;
  if (type === 'number' && /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(given.trim()))
    return Number(given);
  if (type === 'boolean' && /^(on|off|true|false)$/.test(given)) return /^(on|true)$/.test(given);
  return given;
}

/** @throws UsageError, by the option's name, for a value that will not do */
function optionValue(name: string, schema: v.GenericSchema, given: string | number | boolean) {
  const result = v.safeParse(schema, coerce(schema, given));
  if (result.success) return result.output;
  const shown = oneLine(String(given), 40);
  const { message } = result.issues[0];
  throw new UsageError(`${scenarioFlag(name)}: '${shown}' will not do; ${message}`);
}

/** @returns the scale: what the options say, else the file's @throws UsageError */
export function scaleOf(options: Given, fallback: number): number {
  const given = options.scale;
  if (given === undefined) return fallback;
  return optionValue('scale', number(1 / 1024, SCALE_MAX), given) as number;
}

/**
 * Fields of a workload: what the options say, else the file, else the kind.
 * @throws UsageError
 */
export function workloadFields(workload: FileWorkload, options: Given): Record<string, unknown> {
  const { kind, fields } = workload;
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(kind.fields)) {
    const given = options[name];
    values[name] =
      given === undefined || valueText(schema as v.GenericSchema) === null
        ? v.parse(schema as v.GenericSchema, fields[name])
        : optionValue(name, schema as v.GenericSchema, given);
  }
  return values;
}
