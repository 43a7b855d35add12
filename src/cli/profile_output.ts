// SPDX-License-Identifier: GPL-2.0-only
/** What a command shows of a profile: its table, and a flame graph with its stacks beside it. */
import { parse } from 'node:path';
import type { CallNode } from '../profile/call_tree.ts';
import { flamePage, foldedStacks } from '../profile/flame_graph.ts';
import { formatHotTable, hotTable, madeOf, type Shares } from '../profile/hot_table.ts';
import { writeFileAtomic } from '../workload/trace_bytes.ts';

/** Help of `--flame`. */
export const FLAME_HELP = 'write the profile as a flame graph to FILE (HTML), its stacks beside it';

/** Where the folded stacks go that belong to a flame graph: `a/b.html` has `a/b.folded`. */
export function foldedFile(flame: string): string {
  const { dir, name } = parse(flame);
  return `${dir === '' ? '' : `${dir}/`}${name}.folded`;
}

/**
 * Writes a flame graph, and its folded stacks.
 * @throws UsageError where a file cannot be written
 */
export async function writeFlame(
  root: CallNode,
  flame: string,
  title: string,
  remark: string,
): Promise<void> {
  await writeFileAtomic(flame, Buffer.from(flamePage(root, title, remark)));
  await writeFileAtomic(foldedFile(flame), Buffer.from(foldedStacks(root)));
}

/**
 * The table of a profile, with a line on what it was made of.
 * @param title of the table @param published shares to set beside, null for none
 */
export function profileText(
  root: CallNode,
  title: string,
  published: Shares | null = null,
): string[] {
  const table = hotTable(root);
  return [title, ...formatHotTable(table, published), madeOf(table)];
}
