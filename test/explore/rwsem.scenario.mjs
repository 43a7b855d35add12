// SPDX-License-Identifier: GPL-2.0-only
/** Read-write semaphore: writers alone, readers together, no waiter lost. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedWords } from './subject.mjs';

const plants = {
  writer_ignores_readers: {
    says: 'a waiting writer takes the lock while readers are inside',
    module: 'rwsem',
    edits: [['if ((seen & OCCUPIED) === 0) {', 'if ((seen & WRITER) === 0) {']],
  },
  no_grant: {
    says: 'the readers that a writer lets in are not woken',
    module: 'rwsem',
    edits: [
      [
        `// PAIRS(rwsem-grant): after the phase flipped
            Atomics.notify(words, base + READ_SEQ);`,
        '',
      ],
    ],
  },
  no_writer_wake: {
    says: 'the last reader does not wake a waiting writer',
    module: 'rwsem',
    edits: [
      ['if ((seen & OWNER_MASK) === 1 && (seen & WRITERS_WAIT_MASK) !== 0)', 'if (seen === -1)'],
    ],
  },
  leaves_anyway: {
    says: 'a reader whose time is up leaves, although it was let in meanwhile',
    module: 'rwsem',
    edits: [
      ['if (Atomics.compareExchange(words, base + STATE, seen, left) === seen)', ''],
      [
        'const left = (seen - READER_WAITS) | 0;',
        'Atomics.sub(words, base + STATE, READER_WAITS); const left = 0;',
      ],
    ],
    variant: 'timeout',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const rwsem = await load('rwsem');

const A = 0;
const B = 1;
const WRITING = 2;

const fresh = () => ({ words: sharedWords(rwsem.RWSEM_WORDS), data: sharedWords(3) });

function inTime() {
  expect(elapsedMs() < PROMPT_MS, 'a wake-up was lost: only looking again helped');
}

/** Both words change, in two steps. */
function write(data) {
  expect(data[WRITING] === 0, 'two writers are inside');
  data[WRITING] = 1;
  Atomics.add(data, A, 1);
  Atomics.add(data, B, 1);
  data[WRITING] = 0;
}

function read(data) {
  expect(data[WRITING] === 0, 'a writer and a reader are inside');
  const a = Atomics.load(data, A);
  expect(Atomics.load(data, B) === a, 'half of a write was seen');
  return a;
}

function writer({ words, data }, context) {
  begin(context);
  rwsem.rwsemDownWrite(words, 0, 0);
  write(data);
  rwsem.rwsemUpWrite(words, 0, 0);
  inTime();
  return 1;
}

function reader({ words, data }, context) {
  begin(context);
  rwsem.rwsemDownRead(words, 0, 0);
  read(data);
  rwsem.rwsemUpRead(words, 0, 0);
  inTime();
  return 0;
}

/** Writes, and reads what it wrote with no other writer in between. */
function downgrader({ words, data }, context) {
  begin(context);
  rwsem.rwsemDownWrite(words, 0, 0);
  write(data);
  const wrote = Atomics.load(data, A);
  rwsem.rwsemDowngrade(words, 0, 0);
  expect(read(data) === wrote, 'another writer came in between');
  rwsem.rwsemUpRead(words, 0, 0);
  inTime();
  return 1;
}

function trier({ words, data }, context) {
  begin(context);
  if (rwsem.rwsemTryRead(words, 0, 0)) {
    read(data);
    rwsem.rwsemUpRead(words, 0, 0);
  }
  if (!rwsem.rwsemTryWrite(words, 0, 0)) return 0;
  write(data);
  rwsem.rwsemUpWrite(words, 0, 0);
  return 1;
}

const PHASE = 1 << 31;

/** Waits for no longer than its patience lasts. */
function hasty({ words, data }, context) {
  begin(context);
  if (!rwsem.rwsemDownReadTimeout(words, 0, 0, 0)) return 0;
  read(data);
  rwsem.rwsemUpRead(words, 0, 0);
  return 0;
}

function settled({ words, data }, results) {
  const writes = results.reduce((sum, count) => sum + count, 0);
  expect(data[A] === writes && data[B] === writes, 'a write was lost');
  expect((words[0] & ~PHASE) === 0, `the state ends as ${words[0]}`);
}

const variant = (says, threads, bound = {}) => ({
  says,
  setup: fresh,
  threads,
  check: settled,
  ...bound,
});

export const exploration = {
  subject: 'rwsem',
  asserts: 'a writer is alone; no write half seen; no wake-up lost; free at the end',
  plants,
  variants: {
    mixed: variant('a writer and a reader', [writer, reader]),
    writers: variant('two writers', [writer, writer]),
    downgrade: variant('a writer that downgrades, and a writer', [downgrader, writer]),
    try: variant('trylocks and a writer', [trier, writer]),
    timeout: variant('a writer and a reader that does not wait for long', [writer, hasty]),
    timeouts: variant(
      'a writer, a reader, and one that does not wait for long',
      [writer, reader, hasty],
      { preemptions: 2 },
    ),
    readers: variant('a writer and two readers', [writer, reader, reader], { preemptions: 2 }),
    three: variant('two writers and a reader', [writer, writer, reader], { preemptions: 2 }),
  },
};

export const { setup, threads, check, options } = choose(exploration);
