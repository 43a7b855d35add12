// SPDX-License-Identifier: GPL-2.0-only
/** Walker of the rings of kcompressd, and of what its threads have counted. */
import type { Checker } from './check.ts';
import { folioTest } from './folio.ts';
import { kcompressdRing } from './kcompressd.ts';
import { KCOMPRESSD_FIXED, KCOMPRESSD_RUNNING } from './kcompressd_types.ts';
import type { Mm } from './mm.ts';
import { PG_LOCKED, PG_SWAPCACHE, PG_WRITEBACK } from './mm_types.ts';
import type { vmEvents } from './vmstat.ts';

/**
 * At rest the rings are empty, nobody is about to fill one, and a thread that has stopped has left
 * none behind. A folio that a ring has all the same is in the swap cache, kept there by what the
 * policy says: its writeback and a reference, or its lock.
 * @param refs counts the references
 * @context quiescence
 */
export function checkKcompressd(m: Mm, check: Checker, refs: Int32Array): void {
  const fixed = m.kcompressdPolicy === KCOMPRESSD_FIXED;
  for (let row = 0; row < m.sizes.nrKcompressd; row++) {
    const ring = kcompressdRing(m, row);
    const running = Atomics.load(m.kcompressd.state, row) === KCOMPRESSD_RUNNING;
    check.equal(ring.length(), 0, running ? `ring ${row}, at rest` : `ring ${row}, which is shut`);
    check.equal(Atomics.load(m.kcompressd.pushing, row), 0, `ring ${row}: producers`);
    for (const pfn of ring.entries()) {
      const valid = pfn > 0 && pfn < m.sizes.nrPages;
      check.that(valid, () => `ring ${row} has ${pfn}, which is no folio`);
      if (!valid) continue;
      if (fixed) refs[pfn] = (refs[pfn] as number) + 1;
      const kept = folioTest(m, pfn, fixed ? PG_WRITEBACK : PG_LOCKED);
      check.that(kept && folioTest(m, pfn, PG_SWAPCACHE), () => `ring ${row}: pfn ${pfn} is free`);
    }
  }
}

/** What kcompressd was given, it has stored or could not store, or has still. */
export function checkKcompressdCounters(
  m: Mm,
  check: Checker,
  e: ReturnType<typeof vmEvents>,
): void {
  const { queued, stored, failed } = m.kcompressd;
  let given = 0;
  let done = 0;
  for (let row = 0; row < m.sizes.nrKcompressd; row++) {
    given += Atomics.load(queued, row);
    done += Atomics.load(stored, row) + Atomics.load(failed, row) + kcompressdRing(m, row).length();
  }
  check.equal(given, e.kr_kcompress_queued, 'kcompressd: folios of all rings');
  check.equal(done, e.kr_kcompress_queued, 'kcompressd: queued = stored + failed');
}
