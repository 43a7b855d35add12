// SPDX-License-Identifier: GPL-2.0-only
/**
 * The text of a scenario file, checked: what is wrong is said in one line, with the place in the
 * text and the path of the field.
 */
import * as v from 'valibot';
import { optionName, parseConfigObject } from '../config_schema.ts';
import { inputError, oneLine, UsageError } from '../errors.ts';
import { JsonError, type JsonText, lineColumn, readJson } from './json_text.ts';
import type { AnyKind } from './kind_types.ts';
import { kindOf } from './kinds.ts';
import { FILE, type FileFields, KIND_NAMES, workloadSchema } from './scenario_schema.ts';

/** A workload as its file has it: fields of all kinds, and those of its own. */
export interface FileWorkload {
  readonly kind: AnyKind;
  /** Where it stands: `workloads[0]`. */
  readonly path: string;
  readonly name: string | undefined;
  readonly group: string | undefined;
  readonly cpus: readonly number[] | undefined;
  /** Fields of the kind that the file gives. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A scenario file, checked field by field. */
export interface ScenarioFile extends Omit<FileFields, 'workloads'> {
  /** As the user gave it, for messages. */
  readonly file: string;
  readonly workloads: readonly FileWorkload[];
  /** @returns an error about a field, with its place in the text */
  bad(path: string, reason: string, hint: string): UsageError;
}

type Path = readonly { readonly key: unknown }[] | undefined;

/** `workloads[0].apps` for the parts of a path. */
function pathText(path: Path, above = ''): string {
  return (path ?? []).reduce((text, { key }) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, above);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${oneLine(value, 40)}'`;
  return oneLine(JSON.stringify(value) ?? String(value), 40);
}

/** Whether it is about a field that there is not. */
const isUnknown = ({ type, expected }: v.BaseIssue<unknown>): boolean =>
  type === 'strict_object' && expected === 'never';

/** What is wrong, and what to do. @param known names of fields, for one that there is not */
export function issueText(
  issue: v.BaseIssue<unknown>,
  known: readonly string[],
): readonly [reason: string, hint: string] {
  const isKey = issue.type === 'strict_object';
  if (isUnknown(issue)) {
    return ['no such field', `known are ${known.join(', ')}`];
  }
  if (isKey && issue.input === undefined) return ['is missing', 'give it'];
  if (isKey) return [`${shown(issue.input)} will not do`, 'give an object'];
  return [`${shown(issue.input)} will not do`, issue.message];
}

class Checker {
  readonly #file: string;
  readonly #text: string;
  #json: JsonText = { value: null, places: new Map() };

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  readonly bad = (path: string, reason: string, hint: string): UsageError => {
    const { places } = this.#json;
    let at = path;
    // What is missing has no place: what it is missing from has.
    while (!places.has(at) && at !== '')
      at = at.slice(0, Math.max(at.search(/(\.[^.]*|\[\d+\])$/), 0));
    const position = lineColumn(this.#text, places.get(at) ?? 0);
    const what = path === '' ? reason : `${path}: ${reason}`;
    return inputError({ file: this.#file, position, reason: what, hint });
  };

  read(): unknown {
    try {
      this.#json = readJson(this.#text.replace(/^\uFEFF/, ''));
      return this.#json.value;
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      const position = lineColumn(this.#text, error.offset);
      const hint = 'mend the JSON there';
      throw inputError({ file: this.#file, position, reason: error.message, hint });
    }
  }

  /** @throws UsageError for the first value that will not do */
  check<S extends v.GenericSchema>(schema: S, value: unknown, above: string): v.InferOutput<S> {
    const result = v.safeParse(schema, value);
    if (result.success) return result.output;
    // A name that was mistyped is told before what is missing for it.
    const issue = result.issues.find(isUnknown) ?? result.issues[0];
    throw this.bad(
      pathText(issue.path as Path, above),
      ...issueText(issue, fieldsAt(schema, issue)),
    );
  }

  workload(value: Record<string, unknown>, index: number): FileWorkload {
    const path = `workloads[${index}]`;
    const kind = typeof value.kind === 'string' ? kindOf(value.kind) : undefined;
    if (kind === undefined) {
      const reason = value.kind === undefined ? 'is missing' : `${shown(value.kind)} is no kind`;
      throw this.bad(`${path}.kind`, reason, `give one of ${KIND_NAMES.join(', ')}`);
    }
    const { name, group, cpus } = this.check(workloadSchema(kind), value, path);
    const names = Object.keys(kind.fields).filter((field) => value[field] !== undefined);
    const fields = Object.fromEntries(names.map((field) => [field, value[field]]));
    return { kind, path, name, group, cpus, fields };
  }

  /** Options of the machine, by their names in the library. */
  machine(given: Record<string, unknown>): Record<string, unknown> {
    try {
      return parseConfigObject(given, '') as Record<string, unknown>;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const [, key = '', rest = error.message] =
        /^(?:([\w.[\]]+): )?(.*)$/.exec(error.message) ?? [];
      const own = Object.keys(given).find((name) => optionName(name) === key.split('.')[0]);
      const [reason = '', ...hints] = rest.split('; ');
      throw this.bad(own === undefined ? 'machine' : `machine.${own}`, reason, hints.join('; '));
    }
  }
}

/** Fields of the object that an issue is about, for a schema of objects in lists. */
function fieldsAt(schema: v.GenericSchema, issue: v.BaseIssue<unknown>): string[] {
  let at = schema as { entries?: Record<string, unknown>; item?: unknown; wrapped?: unknown };
  for (const { key } of ((issue.path ?? []) as { key: unknown }[]).slice(0, -1)) {
    if (typeof key === 'string') at = (at.entries?.[key] ?? {}) as typeof at;
    while (at.wrapped !== undefined) at = at.wrapped as typeof at;
    if (typeof key === 'number') at = (at.item ?? {}) as typeof at;
  }
  return Object.keys(at.entries ?? {});
}

/**
 * Checks the text of a scenario file.
 * @param file its path, for messages @throws UsageError, one line, for the first fault
 */
export function parseScenario(text: string, file: string): ScenarioFile {
  const checker = new Checker(file, text);
  const value = checker.read();
  if (Array.isArray(value)) throw checker.bad('', 'a list will not do', 'give an object');
  const fields = checker.check(FILE, value, '');
  const workloads = fields.workloads.map((value, index) => checker.workload(value, index));
  const machine = checker.machine(fields.machine);
  const { bad } = checker;
  const names = fields.groups.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    throw bad(`groups[${index}].name`, `a group is '${name}' already`, 'give another name');
  }
  for (const { group, path } of workloads) {
    if (group === undefined || names.includes(group)) continue;
    const hint = names.length === 0 ? 'give groups' : `give one of ${names.join(', ')}`;
    throw bad(`${path}.group`, `no group '${group}'`, hint);
  }
  return { ...fields, file, machine, workloads, bad };
}
