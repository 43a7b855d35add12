// SPDX-License-Identifier: GPL-2.0-only
/** Threads on one CPU each: where the system lets them. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { cpuList } from '../../../../dist/src/deterministic/pin.js';

const PIN = fileURLToPath(new URL('../../../../dist/src/deterministic/pin.js', import.meta.url));
/** A process that pins its first thread, starts another, and says where both may run. */
const PROGRAM = `
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { pinThread } from ${JSON.stringify(PIN)};
const STATUS = '/proc/thread-self/status';
const listOf = (text) => /Cpus_allowed_list:\\s*(\\S+)/.exec(text)[1];
const cpus = () => listOf(readFileSync(STATUS, 'utf8'));
const before = cpus();
const pinned = pinThread(Number(process.argv[1]));
const child = new Worker(
  "const { parentPort } = require('worker_threads');" +
    "parentPort.postMessage(require('fs').readFileSync('" + STATUS + "', 'utf8'));",
  { eval: true, execArgv: [] },
);
child.once('message', (text) => {
  console.log(JSON.stringify({ before, pinned, after: cpus(), inherited: listOf(text) }));
});
`;

interface Pinned {
  readonly before: string;
  readonly pinned: number;
  readonly after: string;
  readonly inherited: string;
}

function pin(slot: number, path = process.env.PATH): Pinned {
  const args = ['--input-type=module', '-e', PROGRAM, `${slot}`];
  const env = { ...process.env, PATH: path };
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Pinned;
}

it('a list of CPUs is read as the kernel writes it', () => {
  expect(cpuList('0')).toEqual([0]);
  expect(cpuList('0-3,8,10-11')).toEqual([0, 1, 2, 3, 8, 10, 11]);
});

it('neighbouring slots have different CPUs, which their threads inherit', () => {
  const [one, two] = [pin(4), pin(5)];
  const all = cpuList(one.before);
  if (process.platform !== 'linux' || all.length === 1) {
    expect(one.pinned).toBe(-1);
    return;
  }
  for (const { pinned, after, inherited } of [one, two]) {
    expect(all).toContain(pinned);
    expect([after, inherited]).toEqual([`${pinned}`, `${pinned}`]);
  }
  expect(one.pinned).not.toBe(two.pinned);
});

it('where there is no taskset, a thread stays as it is', () => {
  const { before, pinned, after } = pin(4, '/nowhere');
  expect([pinned, after]).toEqual([-1, before]);
});
