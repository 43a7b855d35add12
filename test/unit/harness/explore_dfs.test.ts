// SPDX-License-Identifier: GPL-2.0-only
/** The exhaustive search on real threads: it ends, and it says what it did. */
import { describe, expect, test } from 'vitest';
import { summaryText } from '../../../dist/src/harness/explore_report.js';
import { exploreReport, ScenarioError } from '../../../dist/src/harness/index.js';

const fixture = (name: string): URL =>
  new URL(`../../fixtures/harness/dfs/${name}.mjs`, import.meta.url);
const dfs = { strategy: 'dfs', replayDir: false, seconds: 60 } as const;

describe('exhaustive search on real threads', () => {
  test('three threads that spin end within few executions', async () => {
    const report = await exploreReport(fixture('spin'), dfs);
    expect(report.failure).toBeNull();
    expect(report.exhausted).toBe(true);
    expect(report.executions).toBeLessThan(2000);
    expect(summaryText(report)).toContain('every schedule, or its equal, was run');
  });

  test('a bound on preemptions leaves fewer, and is stated', async () => {
    const report = await exploreReport(fixture('spin'), { ...dfs, preemptions: 0 });
    expect(report).toMatchObject({ exhausted: true, failure: null });
    expect(report.executions).toBeLessThan(20);
    expect(summaryText(report)).toContain('every schedule within 0 preemptions');
  });

  test('a history is explored in every order of returns and calls', async () => {
    const report = await exploreReport(fixture('stale_read'), { ...dfs, shrink: false });
    expect(report.failure?.message).toContain('read 0 after the write had returned');
  });

  test('an invariant sees every order of the writes to two words', async () => {
    const report = await exploreReport(fixture('invariant'), { ...dfs, shrink: false });
    expect(report.failure?.message).toContain('b was written before a');
  });

  test('threads that keep something between executions are told', async () => {
    const told = exploreReport(fixture('keeps'), dfs);
    await expect(told).rejects.toThrow(ScenarioError);
    await expect(told).rejects.toThrow('does something else when the same schedule is run again');
  });
});
