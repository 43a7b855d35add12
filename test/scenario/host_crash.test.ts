// SPDX-License-Identifier: GPL-2.0-only
/**
 * A process that runs a machine is killed at some point of its run. What was synced is on the host,
 * or something newer; every page is one that was written, as a whole.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PAGE, wrongPage } from '../fixtures/host_file_programs.mjs';

const MACHINE = fileURLToPath(new URL('../fixtures/host_crash.mjs', import.meta.url));
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** Runs a machine until it has said `lines` lines, and kills it. @returns them, whole ones */
function killAfter(seed: number, lines: number, what: string): Promise<string[]> {
  const child = spawn(process.execPath, [MACHINE, dir, String(seed), what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.split('\n').length > lines) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (_code, signal) => {
      expect(signal).toBe('SIGKILL');
      resolve(text.slice(0, text.lastIndexOf('\n')).split('\n'));
    });
  });
}

/** Write that a page holds; 0 for one that was never written. */
function seqOf(bytes: Uint8Array, page: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + page * PAGE).getInt32(8, true);
}

describe('a machine that is killed', () => {
  it.each([3, 20, 61])(
    'after %i syncs has what was synced, and no torn page',
    { timeout: 120_000 },
    async (lines) => {
      const said = await killAfter(lines, lines, 'programs');
      const synced = [new Map<number, number>(), new Map<number, number>()];
      for (const line of said) {
        const [cpu, ...pages] = line.split(' ');
        for (const item of pages) {
          const [page, seq] = item.split(':');
          synced[Number(cpu)]?.set(Number(page), Number(seq));
        }
      }
      expect(synced.some((pages) => pages.size > 0)).toBe(true);
      synced.forEach((pages, cpu) => {
        const bytes = new Uint8Array(readFileSync(join(dir, `crash${cpu}`)));
        for (let page = 0; page * PAGE < bytes.length; page++) {
          const whole = bytes.subarray(page * PAGE, (page + 1) * PAGE);
          expect(whole.length).toBe(PAGE);
          expect(wrongPage(whole, cpu, page)).toBe(null);
        }
        for (const [page, seq] of pages) expect(seqOf(bytes, page)).toBeGreaterThanOrEqual(seq);
      });
    },
  );

  it.each([5, 40, 90])(
    'with processes that outnumber CPUs, after %i syncs, has what was synced',
    { timeout: 120_000 },
    async (lines) => {
      const said = await killAfter(lines, lines, 'tasks');
      const synced = new Map<number, Map<number, number>>();
      for (const line of said) {
        const [number, ...pages] = line.split(' ');
        const file = synced.get(Number(number)) ?? new Map<number, number>();
        for (const item of pages) file.set(Number(item.split(':')[0]), Number(item.split(':')[1]));
        synced.set(Number(number), file);
      }
      expect(synced.size).toBeGreaterThan(0);
      for (const [number, pages] of synced) {
        const mapped = number % 2 === 1;
        const bytes = new Uint8Array(
          readFileSync(join(dir, `${mapped ? 'map' : 'crash'}${number}`)),
        );
        for (let page = 0; !mapped && page * PAGE < bytes.length; page++) {
          const whole = bytes.subarray(page * PAGE, (page + 1) * PAGE);
          expect(wrongPage(whole, number, page)).toBe(null);
        }
        for (const [page, seq] of pages) expect(seqOf(bytes, page)).toBeGreaterThanOrEqual(seq);
      }
    },
  );
});
