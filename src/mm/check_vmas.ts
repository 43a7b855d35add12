// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walkers over VMAs and anon_vmas (see check.ts): is every VMA in its place, does the rmap of every
 * anonymous page lead to every VMA that maps it, and is every row either found or free?
 */
import type { Checker } from './check.ts';
import type { Mm } from './mm.ts';
import { POOL_ANON_VMAS, POOL_AVCS, POOL_MMS, POOL_VMAS, poolInUse } from './row_pool.ts';
import { findVma, pageIndex } from './vma.ts';

/** A present entry of an anonymous page: the rmap must find it. @context quiescence */
export function checkAnonEntry(m: Mm, check: Checker, mm: number, vpn: number, pfn: number): void {
  const anonVma = m.page.mapping[pfn] as number;
  // A file's page: its rmap is by the file.
  if (anonVma < 0) return;
  const vma = findVma(m, mm, vpn);
  check.that(vma !== 0, () => `mm ${mm} vpn ${vpn}: mapped outside every VMA`);
  if (vma === 0) return;
  check.equal(m.page.index[pfn] as number, pageIndex(m, vma, vpn), `index of pfn ${pfn}`);
  let linked = false;
  for (let avc = m.vma.avcHead[vma] as number; avc !== 0; avc = m.avc.sameNext[avc] as number) {
    linked ||= m.avc.anonVma[avc] === anonVma;
  }
  check.that(linked, () => `pfn ${pfn}: its anon_vma ${anonVma} does not lead to mm ${mm}`);
}

/** Checks lists, chains and rings, and recounts rows. @context quiescence */
export function checkVmas(m: Mm, check: Checker): void {
  let vmas = 0;
  let links = 0;
  const active = new Int32Array(m.sizes.nrAnonVmas);
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    let before = 0;
    let end = 0;
    for (let vma = m.mm.vmaHead[mm] as number; vma !== 0; vma = m.vma.next[vma] as number) {
      if (++vmas > m.config.vmasMax) throw new Error(`VMAs of mm ${mm} run in a circle`);
      const start = m.vma.start[vma] as number;
      check.that(start >= end, () => `vma ${vma} of mm ${mm} overlaps the one before it`);
      end = m.vma.end[vma] as number;
      check.that(start < end, () => `vma ${vma} of mm ${mm} is empty`);
      check.equal(m.vma.mm[vma] as number, mm, `address space of vma ${vma}`);
      check.equal(m.vma.prev[vma] as number, before, `vma before ${vma}`);
      links += checkChain(m, check, vma);
      const own = Atomics.load(m.vma.anonVma, vma);
      active[own] = (active[own] as number) + 1;
      before = vma;
    }
  }
  check.equal(poolInUse(m, POOL_VMAS), vmas, 'VMAs in use');
  check.equal(poolInUse(m, POOL_AVCS), links, 'links of VMAs to anon_vmas in use');
  checkAnonVmas(m, check, active, links);
}

/** @returns links of the VMA */
function checkChain(m: Mm, check: Checker, vma: number): number {
  const own = Atomics.load(m.vma.anonVma, vma);
  let links = 0;
  let linkedToOwn = own === 0;
  let root = 0;
  for (let avc = m.vma.avcHead[vma] as number; avc !== 0; avc = m.avc.sameNext[avc] as number) {
    if (++links >= m.sizes.nrAvcs) throw new Error(`links of vma ${vma} run in a circle`);
    const anonVma = m.avc.anonVma[avc] as number;
    check.equal(m.avc.vma[avc] as number, vma, `vma of link ${avc}`);
    const itsRoot = Atomics.load(m.anonVma.root, anonVma);
    check.that(itsRoot !== 0, () => `vma ${vma} is linked to the free anon_vma ${anonVma}`);
    check.that(root === 0 || root === itsRoot, () => `vma ${vma} is in two families`);
    root = itsRoot;
    linkedToOwn ||= anonVma === own;
  }
  check.that(linkedToOwn, () => `vma ${vma} is not linked to its own anon_vma ${own}`);
  check.that(own !== 0 || links === 0, () => `vma ${vma} has links and no anon_vma`);
  return links;
}

function checkAnonVmas(m: Mm, check: Checker, active: Int32Array, links: number): void {
  const { root, parent, avcHead, numChildren, numActive, refcount } = m.anonVma;
  const descendants = new Int32Array(m.sizes.nrAnonVmas);
  const children = new Int32Array(m.sizes.nrAnonVmas);
  let rows = 0;
  let ringLinks = 0;
  for (let row = 1; row < m.sizes.nrAnonVmas; row++) {
    const its = Atomics.load(root, row);
    if (its === 0) continue;
    rows++;
    if (its !== row) descendants[its] = (descendants[its] as number) + 1;
    const first = avcHead[row] as number;
    // One that only its descendants keep counts as no child any more.
    if (first === 0) continue;
    children[parent[row] as number] = (children[parent[row] as number] as number) + 1;
    let avc = first;
    do {
      if (++ringLinks > links) throw new Error(`the ring of anon_vma ${row} is broken`);
      check.equal(m.avc.anonVma[avc] as number, row, `anon_vma of link ${avc}`);
      const next = m.avc.listNext[avc] as number;
      check.equal(m.avc.listPrev[next] as number, avc, `link before ${next}`);
      avc = next;
    } while (avc !== first);
  }
  check.equal(ringLinks, links, 'links in the rings of anon_vmas');
  check.equal(poolInUse(m, POOL_ANON_VMAS), rows, 'anon_vmas in use');
  for (let row = 1; row < m.sizes.nrAnonVmas; row++) {
    if (Atomics.load(root, row) === 0) continue;
    const alive = avcHead[row] === 0 ? 0 : 1;
    const refs = alive + (descendants[row] as number);
    check.equal(Atomics.load(refcount, row), refs, `references of anon_vma ${row}`);
    check.equal(numActive[row] as number, active[row] as number, `VMAs of anon_vma ${row}`);
    check.equal(numChildren[row] as number, children[row] as number, `children of ${row}`);
  }
}

/** Nothing is left of any address space. @context after shutdown: no thread runs */
export function checkNoVmas(m: Mm, check: Checker): void {
  check.equal(poolInUse(m, POOL_VMAS), 0, 'VMAs at the end');
  check.equal(poolInUse(m, POOL_ANON_VMAS), 0, 'anon_vmas at the end');
  check.equal(poolInUse(m, POOL_AVCS), 0, 'links of VMAs to anon_vmas at the end');
  check.equal(poolInUse(m, POOL_MMS), m.config.processes.length, 'address spaces at the end');
}
