// SPDX-License-Identifier: GPL-2.0-only
/**
 * Loading code by its name: what does not load, or has no such export, is an error that names both
 * the file and the export.
 */
import { bug } from '../shared/assert.ts';
import type { LoadedProgram, ModuleRef, ProgramRef } from './engine.ts';

/** Modules that came with the worker's own file, by URL. */
const provided = new Map<string, Record<string, unknown>>();

/**
 * Says which modules the worker has already: `load` takes these before it looks for files.
 * @param base URL that their paths are relative to
 * @context a worker that starts from a bundle, before its entry
 */
export function provideModules(
  base: string,
  modules: readonly (readonly [path: string, module: Record<string, unknown>])[],
): void {
  for (const [path, module] of modules) provided.set(new URL(path, base).href, module);
}

/**
 * Loads a module and takes a function that it exports.
 * @throws Error, with the file and the export in its first line
 * @context a thread that boots; suspends
 */
export async function load<F>(ref: ModuleRef): Promise<F> {
  let module: Record<string, unknown>;
  try {
    module = provided.get(ref.module) ?? ((await import(ref.module)) as Record<string, unknown>);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${ref.module}, for its export ${ref.export}, does not load: ${reason}`;
    throw new Error(message, { cause });
  }
  const fn = module[ref.export];
  if (typeof fn !== 'function') bug(`${ref.module} exports no function ${ref.export}`);
  return fn as F;
}

/** `load` for each, in their order. @throws as `load` @context a thread that boots; suspends */
export async function loadAll(refs: readonly ProgramRef[]): Promise<LoadedProgram[]> {
  const loaded: LoadedProgram[] = [];
  for (const ref of refs) loaded.push({ fn: await load(ref), args: ref.args });
  return loaded;
}
