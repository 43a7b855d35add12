// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd and kcompressd as posted: each bug of theirs, alone, is found in a whole machine, in one
 * schedule; the line that is printed replays it, and without the bug the same machine holds.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const SQLITE = fileURLToPath(new URL('../../traces/sqlite.ftrc.gz', import.meta.url));
const LIMIT_MS = 120_000;

interface Run {
  readonly code: number;
  readonly stdout: string;
}

function kreclaim(args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args, '-q'], (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout });
    });
  });
}

const ON_TWO = ['--share', '--cpus', '2', '--memory', '25%'];
const TRACE = ['run', SQLITE, '--events', '4000', ...ON_TWO];
/** kswapd is never done: it is at it when the machine stops. */
const BUSY = [
  ...['run', SQLITE, '--events', '3000', ...ON_TWO],
  ...['--set', 'vm.watermark_scale_factor=3000'],
];
const HOTPLUG = [
  ...['run', 'churn', '--parts', 'node', '--loops', '2', '--scale', '0.25', '--depth', '1'],
  ...['--width', '2', '--memory', '50%', '--cpus', '3'],
];
const CONTENDED = ['--fault', 'fail_trylock=1/4'];
const SCHEDULE = ['--mode', 'deterministic', '--hung-task', '60'];

interface Story {
  readonly bug: string;
  readonly machine: readonly string[];
  readonly faults?: readonly string[];
  readonly seed?: number;
  /** How the harness tells: exit 1 for what is wrong at the end, 3 for a panic. */
  readonly code: number;
  readonly says: RegExp;
}

const KSHRINKD: readonly Story[] = [
  { bug: 'stop-hang', machine: TRACE, code: 3, says: /kshrinkd0\/\d+ hung: .* on a completion/ },
  {
    bug: 'stop-leak',
    machine: BUSY,
    faults: ['--fault', 'fail_trylock=1/3,stall=1/2'],
    code: 1,
    says: /kshrinkd has gone, with \d+ queued/,
  },
  {
    bug: 'isolated-lost',
    machine: TRACE,
    code: 3,
    says: /kshrinkd0\/\d+ threw: BUG: a queued folio is not counted as isolated/,
  },
  { bug: 'uninit-node', machine: HOTPLUG, code: 1, says: /[1-9]\d* violations/ },
  {
    bug: 'early-publish',
    machine: TRACE,
    faults: ['--fault', 'fail_trylock=1/4,fail_kthread=1/1'],
    code: 1,
    says: /[1-9]\d* violations/,
  },
];

const KCOMPRESSD: readonly Story[] = [
  { bug: 'struct-bytes', machine: TRACE, code: 3, says: /kcompressd0\/\d+ threw: / },
  {
    bug: 'one-page',
    machine: [...TRACE, '--swap', 'zswap'],
    code: 3,
    says: /cpu\d\/\d+ hung: .* on a folio/,
  },
  { bug: 'no-wake', machine: TRACE, code: 3, says: /cpu\d\/\d+ hung: .* on a folio/ },
  { bug: 'stop-hang', machine: TRACE, code: 3, says: /kcompressd0\/\d+ hung: .* on a completion/ },
  {
    bug: 'stop-leak',
    machine: BUSY,
    faults: ['--fault', 'stall=1/1'],
    seed: 5,
    code: 1,
    says: /[1-9]\d* violations/,
  },
  {
    bug: 'lost-dirty',
    machine: TRACE,
    faults: ['--fault', 'fail_write=1/4'],
    code: 3,
    says: /threw: BUG: reading an empty zram slot|[1-9]\d* mismatches/,
  },
];

/** Runs a story with its bug, again by the line that it prints, and once without the bug. */
async function tell(story: Story, policy: readonly string[], option: string, faults: string[]) {
  const { machine, seed = 1, code, says } = story;
  const drawn = [...SCHEDULE, '--seed', `${seed}`, ...(story.faults ?? faults)];
  const args = [...machine, ...policy, ...drawn];
  const first = await kreclaim([...args, option, story.bug]);
  expect(first.stdout).toMatch(says);
  expect(first.code).toBe(code);
  const [, line = ''] = /\nreplay: kreclaim (.*)\n/.exec(first.stdout) ?? [];
  expect(line).toContain(`${option} ${story.bug}`);
  const again = await kreclaim(line.split(' '));
  expect(again.code).toBe(code);
  expect(again.stdout).toMatch(says);
  expect(again.stdout).toContain(`replay: kreclaim ${line}\n`);
  const without = await kreclaim(args);
  expect([without.code, without.stdout.match(says)]).toEqual([0, null]);
}

describe('kshrinkd as posted', () => {
  it.each(KSHRINKD)('$bug is found, and found again', { timeout: LIMIT_MS }, async (story) => {
    await tell(story, ['--contended', 'kshrinkd'], '--kshrinkd-bugs', CONTENDED);
  });
});

describe('kcompressd as posted', () => {
  it.each(KCOMPRESSD)('$bug is found, and found again', { timeout: LIMIT_MS }, async (story) => {
    await tell(story, ['--kcompressd', 'seed'], '--kcompressd-bugs', []);
  });
});
