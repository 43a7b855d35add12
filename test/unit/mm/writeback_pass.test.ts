// SPDX-License-Identifier: GPL-2.0-only
/** What others see while a pass of the writer is under way. */
import fs, { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { fileDirty } from '../../../dist/src/mm/file_dirty.js';
import { fileWrite } from '../../../dist/src/mm/filemap_io.js';
import { flushPass } from '../../../dist/src/mm/flush.js';
import { folioLock, folioSet, folioTest, folioUnlock } from '../../../dist/src/mm/folio.js';
import { hostMount, hostOpenFile } from '../../../dist/src/mm/hostfs.js';
import { lruHead, lruvecRow } from '../../../dist/src/mm/lruvec.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { LRU_INACTIVE_FILE, PG_RECLAIM } from '../../../dist/src/mm/mm_types.js';
import { closeFile } from '../../../dist/src/mm/namei.js';
import { umountAll } from '../../../dist/src/mm/super.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

const PAGE = 4096;
const { writevSync } = fs;
let dir = '';
/** Called before each write of the host. */
let onWrite: () => void = () => undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
  fs.writevSync = (...args: Parameters<typeof writevSync>) => {
    onWrite();
    return writevSync(...args);
  };
  syncBuiltinESMExports();
});

afterEach(() => {
  fs.writevSync = writevSync;
  syncBuiltinESMExports();
  onWrite = () => undefined;
  rmSync(dir, { recursive: true });
});

/** A file with so many dirty pages, every second one of it. */
function dirtyFile(pages: number): { m: Mm; file: number } {
  const m = bootFixture({
    hostFiles: true,
    dirtyRatio: 100,
    filePagesMax: 8192,
    pages: 8192,
    memcgMax: null,
  });
  memcgRefresh(m, 1);
  const file = hostOpenFile(m, hostMount(m, dir, 'a'), 'a', true);
  for (let i = 0; i < pages; i++) {
    expect(fileWrite(m, file, Uint8Array.of(i & 255), 2 * i * PAGE)).toBe(1);
  }
  expect(vmGauges(m).nr_dirty).toBe(pages);
  return { m, file };
}

function end(m: Mm, file: number): void {
  expect(checkQuiescent(m).violations).toEqual([]);
  closeFile(m, file);
  expect(umountAll(m)).toBe(0);
  exitMm(m, 1);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}

it.each([
  [300, 300],
  [2100, 2048],
])('of %i pages, %i are in writeback before the first is written', (pages, atOnce) => {
  const { m, file } = dirtyFile(pages);
  const seen: number[] = [];
  onWrite = () => seen.push(vmGauges(m).nr_writeback as number);
  expect(flushPass(m)).toBe(pages);
  expect(seen[0]).toBe(atOnce);
  // Each ends as it is written: the last one alone.
  expect(seen.at(-1)).toBe(1);
  expect(seen).toHaveLength(pages);
  expect(vmGauges(m)).toMatchObject({ nr_dirty: 0, nr_writeback: 0 });
  end(m, file);
});

it('gives reclaim what it wanted first, but not what is stored to again', () => {
  const { m, file } = dirtyFile(3);
  drainEverything(m);
  const [first, second, third] = [0, 2, 4].map((index) => mappingPeek(m, file, index));
  for (const pfn of [first, second]) folioSet(m, pfn as number, PG_RECLAIM);
  folioLock(m, second as number);
  fileDirty(m, second as number);
  folioUnlock(m, second as number);
  expect(folioTest(m, second as number, PG_RECLAIM)).toBe(false);
  flushPass(m);
  expect(vmEvents(m).pgrotated).toBe(1);
  const list = lruHead(m, lruvecRow(m, 1, 0), LRU_INACTIVE_FILE);
  const order: number[] = [];
  for (let at = m.link.prev[list] as number; at !== list; at = m.link.prev[at] as number) {
    order.push(at);
  }
  expect(order).toEqual([first, second, third]);
  end(m, file);
});
