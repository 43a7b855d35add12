// SPDX-License-Identifier: GPL-2.0-only
/** What must hold of the machine of shrinker_machine.mjs when all threads have ended. */
import { CACHES, PUT_OFF } from './shrinker_acts.mjs';
import { expect } from './subject.mjs';

/** @param core modules of shrinker_machine.mjs @returns the check of a machine */
export function machineCheck({ types, info, rcuBarrier, mmTypes }) {
  /** The groups' bits and the registered shrinker of a cache, at the end. */
  function checkRegistered(m, cache, s) {
    const { flags, refcount, id, idr } = m.shrinker;
    expect((flags[s] & types.SHRINKER_REGISTERED) !== 0, `cache ${cache} is not registered`);
    expect(refcount[s] === 1, `${refcount[s]} references to cache ${cache}`);
    if (id[s] < 0) return;
    expect(idr[id[s]] === s, `the id of cache ${cache} leads to row ${idr[id[s]]}`);
    for (let g = 1; g < m.groups; g++) {
      if (m.memcg.state[g] !== mmTypes.MEMCG_ONLINE || m.caches.objects[g * CACHES + cache] === 0)
        continue;
      expect(info.testShrinkerBit(m, g, 0, id[s]), `objects of cache ${cache}, and no bit in ${g}`);
    }
  }

  /** Work that was put off is where it was put, or has been taken. */
  function checkPutOff(m, cache, s) {
    const { nrDeferred, unitDeferred, id } = m.shrinker;
    let left = nrDeferred[s];
    for (let g = 1; g < m.groups && id[s] >= 0; g++) {
      const unit = g * m.sizes.shrinkers.nrUnits + (id[s] >> 6);
      left += unitDeferred[unit * types.SHRINKER_UNIT_BITS + (id[s] & 63)];
    }
    const made = m.caches.counted[cache] * PUT_OFF - m.caches.taken[cache];
    expect(left === made, `put off for cache ${cache}: ${made}, left ${left}`);
  }

  /** Nothing is lost: not a row, not an info. */
  function checkPools(m, live) {
    rcuBarrier();
    const { words, next, prev, refcount } = m.shrinker;
    const rows = m.sizes.shrinkers.nrShrinkers;
    expect(words[types.SHRINKER_LIVE] === live, `${words[types.SHRINKER_LIVE]} shrinkers live`);
    let freeRows = 0;
    for (let s = words[types.SHRINKER_FREE]; s !== 0 && freeRows < rows; s = prev[s]) freeRows++;
    expect(freeRows === rows - 1 - live, `${freeRows} rows are free`);
    let listed = 0;
    let last = 0;
    for (let s = next[0]; s !== 0 && listed < rows; s = next[s]) {
      listed++;
      last = s;
    }
    expect(listed === live, `${listed} rows are on the list`);
    expect(prev[0] === last, `the list ends at row ${prev[0]}, not ${last}`);
    const referenced = refcount.reduce((sum, refs) => sum + Number(refs !== 0), 0);
    expect(referenced === live, `${referenced} rows have references`);
    for (let g = 1; g < m.groups; g++) {
      const row = m.lruvec.shrinkerInfo[g];
      if (row === 0) continue;
      const longEnough = info.infoNrMax(m, row) >= words[types.SHRINKER_NR_MAX];
      expect(longEnough, `the info of group ${g} is too short`);
    }
    const used = m.lruvec.shrinkerInfo.reduce((sum, row) => sum + Number(row !== 0), 0);
    expect(words[types.SHRINKER_INFOS_USED] === used, 'an info was lost');
  }

  return (m) => {
    let live = 0;
    for (let cache = 0; cache < CACHES; cache++) {
      const s = m.caches.row[cache];
      if (s === 0) continue;
      live++;
      checkRegistered(m, cache, s);
      checkPutOff(m, cache, s);
    }
    checkPools(m, live);
  };
}
