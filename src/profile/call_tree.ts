// SPDX-License-Identifier: GPL-2.0-only
/**
 * Profiles of several threads as one tree of calls.
 *
 *   root      all threads
 *   thread    one child of the root for each profile, by its thread's name
 *   function  below its caller, once for each way to it
 *
 * A sample counts as time on a core, or as time asleep: a thread that waits in Atomics.wait is
 * interrupted for its sample like any other. V8 has no frame for Atomics.wait, so the line of the
 * innermost function tells, where its source can be read. perf top shows no sleepers, and neither
 * do the tables made of this.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CpuProfile, ProfileNode } from '../../kthreads/profiler.ts';

/** A thread's profile. */
export interface ThreadProfile {
  readonly comm: string;
  readonly profile: CpuProfile;
}

/** A function, called one way. */
export interface CallNode {
  /** V8's own are in brackets: `(program)`, `(garbage collector)`. */
  readonly name: string;
  /** URL of its module; empty for what is V8's own. */
  readonly url: string;
  /** Line that it starts at, from 1; 0 where unknown. */
  readonly line: number;
  /** Samples on a core with this function innermost. */
  self: number;
  /** Samples asleep with this function innermost. */
  asleep: number;
  readonly children: Map<string, CallNode>;
}

function newNode(name: string, url = '', line = 0): CallNode {
  return { name, url, line, self: 0, asleep: 0, children: new Map() };
}

/** Says of a line whether it puts its thread to sleep. */
export type SleepTest = (url: string, line: number) => boolean;

/** By the source: `Atomics.wait(` stands in that line. Files are read once. */
export function sourceSleepTest(): SleepTest {
  const files = new Map<string, Set<number>>();
  const load = (url: string): Set<number> => {
    const lines = new Set<number>();
    if (!url.startsWith('file:')) return lines;
    let text = '';
    try {
      text = readFileSync(fileURLToPath(url), 'utf8');
    } catch {
      // Without the source, its samples count as time on a core.
    }
    for (const [at, line] of text.split('\n').entries()) {
      if (line.includes('Atomics.wait(')) lines.add(at + 1);
    }
    return lines;
  };
  return (url, line) => {
    const known = files.get(url) ?? load(url);
    files.set(url, known);
    return known.has(line);
  };
}

/** Samples of a node that were asleep. */
function asleepOf(node: ProfileNode, sleeps: SleepTest): number {
  const { functionName, url } = node.callFrame;
  if (functionName === '(idle)') return node.hitCount ?? 0;
  let ticks = 0;
  for (const tick of node.positionTicks ?? []) if (sleeps(url, tick.line)) ticks += tick.ticks;
  return Math.min(ticks, node.hitCount ?? 0);
}

function childOf(parent: CallNode, name: string, url: string, line: number): CallNode {
  const key = `${name}\n${url}\n${line}`;
  const there = parent.children.get(key);
  if (there !== undefined) return there;
  const child = newNode(name, url, line);
  parent.children.set(key, child);
  return child;
}

function addThread(thread: CallNode, profile: CpuProfile, sleeps: SleepTest): void {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const visit = (node: ProfileNode, into: CallNode): void => {
    const asleep = asleepOf(node, sleeps);
    into.self += (node.hitCount ?? 0) - asleep;
    into.asleep += asleep;
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child === undefined) continue;
      byId.delete(id); // a file may lie: no node has two parents
      const { functionName, url, lineNumber } = child.callFrame;
      visit(child, childOf(into, functionName || '(anonymous)', url, lineNumber + 1));
    }
  };
  const root = profile.nodes[0];
  if (root !== undefined) visit(root, thread);
}

/**
 * Merges profiles; threads of one name share a subtree.
 * @param sleeps tells samples asleep; by default from the modules' sources
 */
export function mergeProfiles(
  threads: readonly ThreadProfile[],
  sleeps: SleepTest = sourceSleepTest(),
): CallNode {
  const root = newNode('all');
  for (const { comm, profile } of threads) addThread(childOf(root, comm, '', 0), profile, sleeps);
  return root;
}

/** Samples on a core in a subtree. */
export function samplesOf(node: CallNode): number {
  let sum = node.self;
  for (const child of node.children.values()) sum += samplesOf(child);
  return sum;
}

/** Samples asleep in a subtree. */
export function asleepSamplesOf(node: CallNode): number {
  let sum = node.asleep;
  for (const child of node.children.values()) sum += asleepSamplesOf(child);
  return sum;
}
