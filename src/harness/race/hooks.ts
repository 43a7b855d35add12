// SPDX-License-Identifier: MIT
/**
 * Installs what changes modules on their way in. What it costs a thread before its first module,
 * on a Node that
 *
 *   strips types by itself, no races    nothing: there is nothing to do
 *   has synchronous hooks               the parser, when the first module comes: some 20 ms
 *   has hooks in a thread of their own  that thread: some 20 ms, and the parser in it
 *
 * CommonJS is loaded by `require` machinery that asynchronous hooks do not see: there the compile
 * step of the loading thread itself is wrapped.
 */
import nodeModule, { Module, register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { stripsTypes } from './hooks_needed.ts';
import type { SourceRules } from './source_rules.ts';

type Rules = typeof import('./source_rules.ts');

/** What a load hook gets and gives, as far as it is looked at here. */
interface Loaded {
  readonly format?: string | null | undefined;
  readonly source?: string | ArrayBuffer | NodeJS.TypedArray | null | undefined;
  readonly shortCircuit?: boolean;
}

type LoadSync<Context extends { readonly format?: string | null | undefined }> = (
  url: string,
  context: Context,
  nextLoad: (url: string, context: Context) => Loaded,
) => Loaded;
type AnyLoad = LoadSync<{ readonly format?: string | null | undefined }>;
type RegisterHooks = (hooks: { load: AnyLoad }) => unknown;

const { registerHooks } = nodeModule as unknown as { registerHooks?: RegisterHooks };

interface Compiler {
  _compile(this: Compiler, content: string, filename: string, ...rest: unknown[]): unknown;
}

/**
 * Installs the hooks in this thread.
 * @context once per thread, before the modules that they are for
 */
export async function installHooks(rules: SourceRules): Promise<void> {
  if (registerHooks === undefined) {
    register(new URL('./hooks_thread.js', import.meta.url), { data: rules });
    if (!rules.race) return;
    const source = await import('./source_rules.ts');
    await source.prepareRules(rules);
    wrapCompile(rules, source);
    return;
  }
  const source = await import('./source_rules.ts');
  await source.prepareRules(rules);
  registerHooks({ load: loadBy(source, rules) });
}

function loadBy(source: Rules, rules: SourceRules): AnyLoad {
  const { typedSource, isTyped, isInstrumented, instrumentedSource } = source;
  return (url, context, nextLoad) => {
    if (!isInstrumented(url, rules)) {
      if (!isTyped(url) || stripsTypes()) return nextLoad(url, context);
      return { ...typedSource(url), shortCircuit: true };
    }
    if (isTyped(url)) {
      const { format, source } = typedSource(url);
      return { format, source: instrumentedSource(url, source, format), shortCircuit: true };
    }
    const loaded = nextLoad(url, context);
    const format = loaded.format ?? context.format ?? '';
    if (!/^(?:module|commonjs)$/.test(format) || loaded.source == null) return loaded;
    const text =
      typeof loaded.source === 'string'
        ? loaded.source
        : new TextDecoder().decode(loaded.source as Uint8Array);
    return { ...loaded, source: instrumentedSource(url, text, format) };
  };
}

/** Instruments CommonJS modules where they are compiled. */
function wrapCompile(rules: SourceRules, { isInstrumented, instrumentedSource }: Rules): void {
  const prototype = Module.prototype as unknown as Compiler;
  const native = prototype._compile;
  prototype._compile = function (this: Compiler, content, filename, ...rest): unknown {
    const url = pathToFileURL(filename).href;
    const source = isInstrumented(url, rules)
      ? instrumentedSource(url, content, 'commonjs')
      : content;
    return native.call(this, source, filename, ...rest);
  };
}
