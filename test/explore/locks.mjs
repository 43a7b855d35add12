// SPDX-License-Identifier: GPL-2.0-only
/**
 * What every lock is asked: one at a time inside, nobody forgotten, free at the end.
 *
 * A section is two operations, so that another thread can come in between if the lock lets it. The
 * locks park for a bounded time, and would get over a lost wake-up by looking again: so a wait that
 * took long, when nothing but waiting took time, counts as lost.
 */
import { elapsedMs, expect, PROMPT_MS, sharedWords } from './subject.mjs';

const COUNT = 0;
const INSIDE = 1;

/** @param kind lock(state), unlock(state), tryLock(state), words, state: more of it */
export function lockVariants(begin, kind) {
  const section = ({ data }) => {
    expect(data[INSIDE] === 0, 'two threads are inside');
    data[INSIDE] = 1;
    const seen = Atomics.load(data, COUNT);
    Atomics.store(data, COUNT, seen + 1);
    expect(data[INSIDE] === 1, 'another thread was inside');
    data[INSIDE] = 0;
  };
  const setup = () => ({
    data: sharedWords(2),
    words: sharedWords(kind.words),
    ...kind.state?.(),
  });

  /** @returns sections that it was in */
  function locker(state, context) {
    begin(context);
    kind.lock(state);
    section(state);
    kind.unlock(state);
    expect(elapsedMs() < PROMPT_MS, 'a wake-up was lost: only looking again helped');
    return 1;
  }

  function lockerTwice(state, context) {
    return locker(state, context) + locker(state, context);
  }

  function trier(state, context) {
    begin(context);
    if (!kind.tryLock(state)) return 0;
    section(state);
    kind.unlock(state);
    return 1;
  }

  const check = ({ data, words }, results) => {
    const sections = results.reduce((sum, count) => sum + count, 0);
    expect(data[COUNT] === sections, `${sections} sections, of which ${data[COUNT]} count`);
    expect(words[0] === 0, `the lock word ends as ${words[0]}`);
  };
  const variant = (says, threads, bound = {}) => ({ says, setup, threads, check, ...bound });
  return {
    two: variant('two threads', [locker, locker], kind.bounds?.two),
    again: variant('two threads, one takes it twice', [locker, lockerTwice], kind.bounds?.again),
    try: variant('a lock and a trylock', [locker, trier], kind.bounds?.try),
    three: variant('three threads', [locker, locker, locker], kind.bounds?.three),
  };
}
