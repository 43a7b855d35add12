// SPDX-License-Identifier: GPL-2.0-only
/** Sequence lock: a section that need not be retried saw the data of one moment. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedWords } from './subject.mjs';

const plants = {
  no_first_step: {
    says: 'a writer does not make the sequence odd when it begins',
    module: 'seqlock',
    edits: [
      [
        'spinLock(words, base + LOCK, cls);\n    Atomics.add(words, base + SEQ, 1);',
        'spinLock(words, base + LOCK, cls);',
      ],
      [
        'Atomics.add(words, base + SEQ, 1); // PAIRS',
        'Atomics.add(words, base + SEQ, 2); // PAIRS',
      ],
    ],
  },
  sleeps_over: {
    says: 'a reader parks without saying so',
    module: 'seqlock',
    edits: [
      ['Atomics.add(words, base + SLEEPERS, 1);', ''],
      ['Atomics.sub(words, base + SLEEPERS, 1);', ''],
    ],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const seq = await load('seqlock');

const A = 0;
const B = 1;

const fresh = () => ({ words: sharedWords(seq.SEQLOCK_WORDS), data: sharedWords(2) });

function inTime() {
  expect(elapsedMs() < PROMPT_MS, 'a wake-up was lost: only looking again helped');
}

function writer({ words, data }, context) {
  begin(context);
  seq.seqWriteLock(words, 0, 0);
  const next = Atomics.load(data, A) + 1;
  Atomics.store(data, A, next);
  Atomics.store(data, B, next);
  seq.seqWriteUnlock(words, 0, 0);
  inTime();
  return 1;
}

function trier({ words, data }, context) {
  begin(context);
  if (!seq.seqWriteTryLock(words, 0, 0)) return 0;
  const next = Atomics.load(data, A) + 1;
  Atomics.store(data, A, next);
  Atomics.store(data, B, next);
  seq.seqWriteUnlock(words, 0, 0);
  return 1;
}

function reader({ words, data }, context) {
  begin(context);
  for (;;) {
    const begun = seq.seqReadBegin(words, 0, 0);
    const a = Atomics.load(data, A);
    const b = Atomics.load(data, B);
    if (seq.seqReadRetry(words, 0, begun)) continue;
    expect(a === b, `half of a write was seen: ${a}, ${b}`);
    inTime();
    return 0;
  }
}

function settled({ words, data }, results) {
  const writes = results.reduce((sum, count) => sum + count, 0);
  expect(data[A] === writes && data[B] === writes, 'a write was lost');
  expect(words[0] === 2 * writes, `the sequence ends as ${words[0]}`);
}

const variant = (says, threads, bound = {}) => ({
  says,
  setup: fresh,
  threads,
  check: settled,
  ...bound,
});

export const exploration = {
  subject: 'seqlock',
  asserts: 'what is read and need not be retried is of one moment; no wake-up lost',
  plants,
  variants: {
    read: variant('a writer and a reader', [writer, reader]),
    writers: variant('two writers', [writer, writer]),
    try: variant('a writer and one that tries', [writer, trier]),
    readers: variant('a writer and two readers', [writer, reader, reader], { preemptions: 2 }),
    three: variant('two writers and a reader', [writer, writer, reader], { preemptions: 2 }),
  },
};

export const { setup, threads, check, options } = choose(exploration);
