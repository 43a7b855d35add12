// SPDX-License-Identifier: MIT
/**
 * The module hooks of a Node that has no synchronous ones: Node runs this file in a thread of its
 * own, which answers the loading thread. CommonJS does not come this way; see hooks.ts.
 */
import type { LoadHook } from 'node:module';
import {
  instrumentedSource,
  isInstrumented,
  isTyped,
  prepareRules,
  type SourceRules,
  typedSource,
} from './source_rules.ts';

let rules: SourceRules = { race: false, include: [] };

/** Called once, with the data of `register`. */
export async function initialize(data: SourceRules): Promise<void> {
  rules = data;
  await prepareRules(rules);
}

/** Changes a module's source by the rules. */
export const load: LoadHook = async (url, context, nextLoad) => {
  if (isTyped(url)) {
    const { format, source } = typedSource(url);
    const visible = isInstrumented(url, rules) ? instrumentedSource(url, source, format) : source;
    return { format, source: visible, shortCircuit: true };
  }
  const loaded = await nextLoad(url, context);
  if (loaded.format !== 'module' || !isInstrumented(url, rules)) return loaded;
  const source =
    typeof loaded.source === 'string'
      ? loaded.source
      : new TextDecoder().decode(loaded.source as Uint8Array);
  return { ...loaded, source: instrumentedSource(url, source, 'module') };
};
