// SPDX-License-Identifier: GPL-2.0-only
/** Sidecars, and how the pages of traces are mapped by them. */
import { afterAll, describe, expect, it } from 'vitest';
import { eventVpn, readTrace, type Trace } from '../../../../dist/src/workload/trace.js';
import { mapTrace } from '../../../../dist/src/workload/vma_kinds.js';
import { csvFile, Scratch } from './trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());

const READ = 0;
const WRITE = 1;

const range = (start: number, end: number, kind: string, prot: string) => ({
  start,
  end,
  kind,
  prot,
});

/** A trace of reads of pages, and writes of some, with a sidecar. */
function traceOf(pages: number[], writes: number[], ranges: object[] | string): Promise<Trace> {
  const reads = pages.map((vpn) => ({ vpn, kind: READ }));
  const stores = writes.map((vpn) => ({ vpn, kind: WRITE }));
  const path = scratch.put('t.csv', csvFile([...reads, ...stores]));
  scratch.put('t.json', typeof ranges === 'string' ? ranges : JSON.stringify({ ranges }));
  return readTrace(path, { ranges: true });
}

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

describe('mixed', () => {
  it('maps files by class in the order of addresses, and merges anonymous gaps', async () => {
    const pages = [10, 11, 12, 20, 40, 100, 101, 600, 2000];
    const trace = await traceOf(
      pages,
      [11, 100],
      [
        range(10, 13, 'file', 'r-x'),
        range(20, 21, 'file', 'r--'),
        range(40, 41, 'file', 'rw-'),
        range(100, 601, 'anon', 'rw-'),
        range(2000, 2001, 'stack', 'rw-'),
      ],
    );
    const file = (pgoff: number, write: boolean, exec: boolean) => ({
      pgoff,
      shared: false,
      write,
      exec,
    });
    expect(mapTrace(trace, 'mixed')).toMatchObject({
      filePages: 5,
      vmas: [
        { start: 10, end: 11, file: file(0, false, true) },
        // Stored to: writable, whatever its range says.
        { start: 11, end: 12, file: file(1, true, false) },
        { start: 12, end: 13, file: file(2, false, true) },
        { start: 20, end: 21, file: file(3, false, false) },
        { start: 40, end: 41, file: file(4, true, false) },
        { start: 100, end: 601 },
        { start: 2000, end: 2001 },
      ],
    });
  });

  it.each([
    ['sort', 53, 188],
    ['sqlite', 119, 6145],
  ])('gives %s as many VMAs as the reference had', async (name, vmas, filePages) => {
    const trace = await readTrace(`traces/${name}.ftrc.gz`, { ranges: true });
    const mapped = mapTrace(trace, 'mixed');
    expect(mapped.vmas).toHaveLength(vmas);
    expect(mapped.filePages).toBe(filePages);
    const covers = (vpn: number) => mapped.vmas.some((v) => v.start <= vpn && vpn < v.end);
    expect(Array.from(trace.pages).every(covers)).toBe(true);
  });

  it('needs the kind of every page', async () => {
    const trace = await traceOf([1, 2, 9], [], [range(1, 3, 'file', 'r--')]);
    expect(() => mapTrace(trace, 'mixed')).toThrow('page 9 is in no range of its sidecar');
    const bare = await readTrace('traces/sort.ftrc.gz', { limit: 10 });
    expect(() => mapTrace(bare, 'mixed')).toThrow(/^vmas: the kinds of sort's pages are not known/);
  });
});

it('file puts all pages side by side, in the order of their addresses', async () => {
  const pages = [5000, 3, 900_000, 4];
  const trace = await traceOf(pages, [3], [range(0, 10 ** 6, 'file', 'r--')]);
  const { events, regions, vmas, filePages } = mapTrace(trace, 'file');
  const [vma] = vmas as [{ start: number; end: number }];
  expect({ filePages, size: vma.end - vma.start }).toEqual({ filePages: 4, size: 4 });
  const sorted = [...pages].sort((a, b) => a - b);
  expect(Array.from(events, (event) => event & 3)).toEqual([0, 0, 0, 0, 1]);
  for (const [i, event] of trace.events.entries()) {
    const moved = eventVpn({ ...trace, regions }, events[i] as number);
    expect(moved - vma.start).toBe(sorted.indexOf(eventVpn(trace, event)));
  }
});

describe('a sidecar', () => {
  const one = range(1, 2, 'anon', 'rw-');
  it.each([
    ['{', /t\.json: not JSON: /],
    ['{}', /t\.json: ranges: /],
    ['{"ranges": []}', /t\.csv: t\.json holds no ranges; give a trace with a sidecar/],
    [JSON.stringify({ ranges: [{ ...one, prot: 'rw' }] }), /ranges\.0\.prot: not like r-x; /],
    [JSON.stringify({ ranges: [{ ...one, end: 1 }] }), /ranges\.0: 1\.\.1 is empty, or does not/],
    [JSON.stringify({ ranges: [one, one] }), /ranges\.1: 1\.\.2 is empty, or does not lie/],
    [JSON.stringify({ ranges: [{ ...one, kind: 'x' }] }), /ranges\.0\.kind: /],
  ])('%s is refused in one line', async (text, message) => {
    const failure = await failureOf(traceOf([1], [], text));
    expect(failure).toMatch(message);
    expect(failure).not.toContain('\n');
  });

  it('lies beside its trace, whatever is appended to that', async () => {
    const path = scratch.put('lonely.ftrc.csv', csvFile([{ vpn: 1, kind: READ }]));
    expect(await failureOf(readTrace(path, { ranges: true }))).toMatch(
      /lonely\.ftrc\.csv: its pages' kinds are not known: there is no lonely\.ftrc\.json; give a/,
    );
  });
});
