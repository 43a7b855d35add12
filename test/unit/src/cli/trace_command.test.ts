// SPDX-License-Identifier: GPL-2.0-only
/** `trace info` and `trace convert` as a user calls them. */
import { readFileSync, rmSync } from 'node:fs';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { describeTrace, registerTraceCommand } from '../../../../dist/src/cli/trace_command.js';
import { readTrace } from '../../../../dist/src/workload/trace.js';
import { Scratch } from '../workload/trace_encoders.ts';

const scratch = new Scratch();
afterAll(() => scratch.done());
afterEach(() => vi.restoreAllMocks());

/** Runs the command line. @returns what it wrote to standard output */
async function kreclaim(...args: string[]): Promise<string> {
  let output = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    output += String(chunk);
    return true;
  });
  const program = new Command('kreclaim').exitOverride();
  registerTraceCommand(program);
  await program.parseAsync(args, { from: 'user' });
  vi.restoreAllMocks();
  return output;
}

const CSV = 'vpn,kind\n1,r\n2,w\n1,i\n600,w\n1,r\n2,r\n';

describe('trace info', () => {
  it('says what the trace holds', async () => {
    const output = await kreclaim('trace', 'info', scratch.put('small.csv', CSV), '--policies');
    expect(output).toBe(
      [
        'small: csv',
        'events         6',
        '  reads        3 (50.0 %)',
        '  writes       2 (33.3 %)',
        '  ifetches     1 (16.7 %)',
        'ticks          0',
        'pages          3 (0 MiB)',
        'pages written  2 (66.7 %)',
        'vmas           2',
        'page tables    5',
        'working set    min 1, median 1, max 1 pages in 1/6 of the events',
        '',
        'refaults     memory     frames        lru       fifo      clock        min',
        '               25 %          1          3          3          3          3',
        '               50 %          1          3          3          3          3',
        '               75 %          2          1          2          2          1',
        '               90 %          2          1          2          2          1',
        '',
      ].join('\n'),
    );
  });

  it('agrees with itself as JSON, to a file and to standard output', async () => {
    const input = scratch.put('small.csv', CSV);
    const want = describeTrace(await readTrace(input), false);
    expect(JSON.parse(await kreclaim('trace', 'info', input, '--json', '-'))).toEqual(want);
    const file = scratch.path('info.json');
    expect(await kreclaim('trace', 'info', input, '--json', file)).toMatch(/^small: csv\n/);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(want);
  });

  it('describes a bundled trace', async () => {
    const info = describeTrace(await readTrace('traces/sort.ftrc.gz'), false);
    expect(info).toMatchObject({
      schema: 'kreclaim.trace/1',
      name: 'sort',
      format: 'ftrc',
      reduced: true,
      events: 2_211_398,
      ticks: 25_161,
      pages: 6_718,
      pagesWritten: 6_544,
      pageTables: 24,
      workingSet: { parts: 40, min: 761, max: 5_541 },
      policies: null,
    });
    expect(info.vmas.length).toBe(5);
  });
});

describe('trace convert', () => {
  it('writes the first events in the format that the name tells', async () => {
    const input = scratch.put('small.csv', CSV);
    const output = scratch.path('cut.ftrc');
    const said = await kreclaim('trace', 'convert', input, output, '--events', '4');
    expect(said).toBe(`${output}: 4 events, 21 bytes\n`);
    const trace = await readTrace(output);
    expect([...trace.pages]).toEqual([1, 2, 600]);
    expect(trace.counts).toEqual({ reads: 1, writes: 2, ifetches: 1, ticks: 0, records: 4 });
  });

  it('names the output after the trace and overwrites nothing it was not told of', async () => {
    const input = scratch.put('kreclaim-default-name.csv', CSV);
    const output = 'kreclaim-default-name.ftrc.gz';
    try {
      const said = await kreclaim('trace', 'convert', input);
      expect(said.startsWith(`${output}: 6 events, `)).toBe(true);
      await expect(kreclaim('trace', 'convert', input)).rejects.toThrow(
        `${output}: exists; name the output to overwrite it`,
      );
      await expect(kreclaim('trace', 'convert', input, output)).resolves.toContain('6 events');
    } finally {
      rmSync(output, { force: true });
    }
  });

  it('refuses counts that are none, before it reads anything', async () => {
    for (const text of ['0', '-1', '1.5', 'x', '', 'NaN', '1e3', '99999999999999999']) {
      await expect(kreclaim('trace', 'info', 'none', '--events', text)).rejects.toThrow(
        `--events: '${text}' is not a count; give an integer above 0`,
      );
    }
  });
});
