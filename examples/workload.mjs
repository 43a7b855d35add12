// SPDX-License-Identifier: GPL-2.0-only
/**
 * A workload of one's own, for `kreclaim run examples/workload.json`: a process that fills a heap
 * and forks children, each of which writes its copy of a part of it.
 */

const FIRST = 65536;
const STRETCH = 32;

/** The first process. @param proc what a program sees: kreclaim's type Proc */
export function* main(proc, { pages, children }) {
  proc.mmap(FIRST, pages);
  for (let at = 0; at < pages; at += STRETCH) {
    proc.touch(FIRST + at, Math.min(STRETCH, pages - at), true);
    if (proc.preempted) yield;
  }
  for (let i = 0; i < children; i++) {
    // No room for another process is an answer, too.
    if (proc.fork('child', { pages }) < 0) break;
    yield;
  }
  for (;;) {
    const ended = yield* proc.wait();
    if (typeof ended === 'number') return 0;
    if (ended.code !== 7 && ended.code < 128) throw new Error(`a child ended with ${ended.code}`);
  }
}

/** A child: every store is checked against what the page holds when it ends. */
export function* child(proc, { pages }) {
  for (let i = 0; i < pages; i++) {
    proc.touch(FIRST + proc.random.below(pages), 1, proc.random.below(2) === 0);
    if (proc.preempted) yield;
  }
  return 7;
}
