// SPDX-License-Identifier: GPL-2.0-only
/**
 * A JSON Schema (draft 2020-12) of valibot's schemas, as far as those of scenario files and of the
 * machine's options need it. Whatever it does not know is an error, so that nothing is left out.
 */

/** What an action of a pipe says. */
const ACTIONS = {
  description: ({ description }) => ({ description }),
  integer: () => ({ type: 'integer' }),
  min_value: ({ requirement }) => ({ minimum: requirement }),
  max_value: ({ requirement }) => ({ maximum: requirement }),
  min_length: ({ requirement }, { type }) =>
    type === 'array' ? { minItems: requirement } : { minLength: requirement },
  max_length: ({ requirement }, { type }) =>
    type === 'array' ? { maxItems: requirement } : { maxLength: requirement },
  non_empty: (_, { type }) => (type === 'array' ? { minItems: 1 } : { minLength: 1 }),
  regex: ({ requirement }) => ({ pattern: requirement.source }),
  // What a function checks or changes cannot be said here.
  check: () => ({}),
  transform: () => ({}),
  metadata: () => ({}),
};

function objectSchema({ entries }) {
  const names = Object.keys(entries);
  const required = names.filter((name) => !isOptional(entries[name]));
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, jsonSchema(entries[name])])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

const isOptional = ({ type }) => type === 'optional' || type === 'nullish';

function optionalSchema({ wrapped, default: fallback }) {
  const schema = jsonSchema(wrapped);
  const plain = fallback === undefined || typeof fallback === 'object';
  return plain ? schema : { ...schema, default: fallback };
}

const TYPES = {
  string: () => ({ type: 'string' }),
  number: () => ({ type: 'number' }),
  boolean: () => ({ type: 'boolean' }),
  unknown: () => ({}),
  literal: ({ literal }) => ({ const: literal }),
  picklist: ({ options }) => ({ enum: [...options] }),
  nullable: ({ wrapped }) => ({ anyOf: [jsonSchema(wrapped), { type: 'null' }] }),
  union: ({ options }) => ({ anyOf: options.map(jsonSchema) }),
  array: ({ item }) => ({ type: 'array', items: jsonSchema(item) }),
  record: ({ value }) => ({ type: 'object', additionalProperties: jsonSchema(value) }),
  strict_object: objectSchema,
  optional: optionalSchema,
};

/** @returns the schema of a value @throws Error for a type or an action that it does not know */
export function jsonSchema(schema) {
  const [first, ...actions] = schema.pipe ?? [schema];
  if (first !== schema && first.pipe !== undefined) {
    return actions.reduce(addAction, jsonSchema(first));
  }
  const make = TYPES[first.type];
  if (make === undefined) throw new Error(`no JSON Schema for type ${first.type}`);
  return actions.reduce(addAction, make(first));
}

function addAction(schema, action) {
  const make = ACTIONS[action.type];
  if (make === undefined) throw new Error(`no JSON Schema for action ${action.type}`);
  return { ...schema, ...make(action, schema) };
}
