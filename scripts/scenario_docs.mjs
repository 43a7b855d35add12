#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only
/**
 * What is made from the validator of scenario files: docs/scenario.schema.json, and the tables of
 * docs/scenarios.md between its marks.
 *
 *   node scripts/scenario_docs.mjs          writes them
 *   node scripts/scenario_docs.mjs --check  exit 1 where one is not current
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MACHINE_SCHEMA } from '../dist/src/config_schema.js';
import { KINDS } from '../dist/src/workload/kinds.js';
import { COMMON, FILE, GROUP, workloadSchema } from '../dist/src/workload/scenario_schema.js';
import { jsonSchema } from './json_schema.mjs';

const file = (name) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
const SCHEMA = file('scenario.schema.json');
const PAGE = file('scenarios.md');

/** @returns the schema of scenario files as text */
export function schemaText() {
  const whole = jsonSchema(FILE);
  const machine = jsonSchema(MACHINE_SCHEMA);
  // Sysctls and names of the command line are taken, too.
  const { additionalProperties: _, ...open } = machine;
  const workloads = {
    ...whole.properties.workloads,
    items: { oneOf: KINDS.map((kind) => jsonSchema(workloadSchema(kind))) },
  };
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A scenario of kreclaim',
    ...whole,
    properties: {
      ...whole.properties,
      machine: { ...open, description: whole.properties.machine.description },
      workloads,
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function takes(schema) {
  const { type, anyOf, enum: values, minimum, maximum, const: only } = schema;
  if (only !== undefined) return `\`"${only}"\``;
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  if (anyOf !== undefined) return 'size';
  const range = minimum === undefined ? '' : ` ${minimum} .. ${maximum}`;
  if (type === 'array') return 'list';
  return `${type ?? 'anything'}${range}`;
}

/** A table of fields. */
function fieldTable(entries, skipped = []) {
  const rows = Object.entries(entries)
    .filter(([name]) => !skipped.includes(name))
    .map(([name, entry]) => {
      const schema = jsonSchema(entry);
      const { description = '', default: fallback } = schema;
      const preset = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``;
      return `| \`${name}\` | ${takes(schema)} | ${preset} | ${description} |`;
    });
  return ['| field | takes | default | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function figureTable({ figures, latencies = {} }) {
  const rows = Object.entries(figures)
    .filter(([name]) => !name.endsWith('Ns'))
    .map(([name, text]) => `| \`${name}\` | ${text} |`);
  for (const [name, text] of Object.entries(latencies)) {
    rows.push(`| \`${name}P50Us\`, \`${name}P99Us\`, \`${name}MaxUs\` | ${text} |`);
  }
  if (rows.length === 0) return '';
  return ['', '', '| figure | counts |', '| --- | --- |', ...rows].join('\n');
}

/** What stands between the marks of the page, by the marks' names. */
function tables() {
  const kinds = KINDS.map((kind) => {
    return [`kind ${kind.kind}`, `${fieldTable(kind.fields)}${figureTable(kind)}`];
  });
  return new Map([
    ['file', fieldTable(FILE.entries)],
    ['group', fieldTable(GROUP.entries)],
    ['common', fieldTable(COMMON)],
    ...kinds,
  ]);
}

/** @param text of the page @returns it with its tables made anew @throws Error for marks missing */
export function pageText(text) {
  let page = text;
  for (const [name, table] of tables()) {
    const [begin, end] = [`<!-- begin ${name} -->\n`, `<!-- end ${name} -->`];
    const [from, to] = [page.indexOf(begin), page.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/scenarios.md has no marks of '${name}'`);
    page = `${page.slice(0, from + begin.length)}${table}\n${page.slice(to)}`;
  }
  return page;
}

function main(check) {
  const page = readFileSync(PAGE, 'utf8');
  const wanted = [
    [SCHEMA, schemaText()],
    [PAGE, pageText(page)],
  ];
  for (const [path, text] of wanted) {
    if (!check) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is not current: node scripts/scenario_docs.mjs`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes('--check'));
