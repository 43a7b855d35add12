// SPDX-License-Identifier: GPL-2.0-only
/** Workload program: a generator program of the user's own, and others that it forks by name. */
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { PTRS_PER_TABLE, TASKS_MAX } from '../mm/limits.ts';
import { field, integer, open, size, text } from './kind_fields.ts';
import { defineKind } from './kind_types.ts';
import type { ProgramSpec } from './workload.ts';

const NAMED = v.strictObject({
  name: v.pipe(text, v.description('what fork, spawn and thread call it')),
  module: open(text, 'default: that of the first program'),
  export: v.pipe(text, v.description('name of the generator function')),
});
/** Page tables above those that map pages: three levels, at a few places. */
const UPPER_TABLES = 16;

/** See the head of this file. */
export const programKind = defineKind({
  kind: 'program',
  description: 'a generator program of your own, from a module',
  fields: {
    module: v.pipe(text, v.description('path of the module, from the folder of the scenario file')),
    export: field(text, 'name of the generator function', 'main'),
    args: open(v.unknown(), 'passed to it: at most 1,024 bytes of JSON'),
    programs: field(v.array(NAMED, 'give a list'), 'programs that it forks by name', []),
    footprint: field(size, 'memory that all its processes touch together', '150%'),
    tasks: field(integer(1, TASKS_MAX), 'processes and threads at once, the first included', 16),
    mappings: field(integer(1, 1 << 20), 'mappings of all its processes together', 1024),
  },
  figures: {},
  plan(context, options) {
    const { tasks, mappings } = options;
    const moduleOf = (path: string, field: string): string => {
      const file = context.path(path);
      if (existsSync(file)) return pathToFileURL(file).href;
      throw context.bad(field, `'${path}': no such file`, 'check the path');
    };
    const module = moduleOf(options.module, 'module');
    const root = `${context.prefix}main`;
    const others = options.programs.map((program, at): ProgramSpec => {
      const own = program.module;
      const from = own === undefined ? module : moduleOf(own, `programs[${at}].module`);
      return { name: program.name, module: from, export: program.export };
    });
    const footprintPages = context.pages('footprint', options.footprint);
    const leaves = Math.ceil(footprintPages / PTRS_PER_TABLE) + UPPER_TABLES;
    return {
      root,
      args: options.args ?? null,
      programs: [{ name: root, module, export: options.export }, ...others],
      tasks,
      footprintPages,
      pageTables: 2 * leaves * tasks,
      vmas: mappings,
    };
  },
});
