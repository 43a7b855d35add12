// SPDX-License-Identifier: GPL-2.0-only
/** Walkers over descriptors of simulated processes (see check.ts). */
import type { Checker } from './check.ts';
import { FDS_MAX } from './fdtable_types.ts';
import type { Mm } from './mm.ts';
import { itemOf } from './slab.ts';
import { CACHE_INODE, OBJECT_USED } from './slab_types.ts';

/**
 * Every open file has as many references as places name it, its file is there, and a process
 * without threads has nothing open.
 * @context quiescence: no call is under way
 */
export function checkFds(m: Mm, check: Checker): void {
  const places = new Int32Array(m.openFile.refs.length);
  for (let at = 0; at < m.fds.length; at++) {
    const row = Atomics.load(m.fds, at);
    const mm = Math.floor(at / FDS_MAX);
    const name = `descriptor ${at % FDS_MAX} of mm ${mm}`;
    check.that(row >= 0 && row < places.length, () => `${name}: open file ${row}`);
    if (row <= 0 || row >= places.length) continue;
    check.that(Atomics.load(m.fdUsers, mm) > 0, () => `${name}: its process has ended`);
    places[row] = (places[row] as number) + 1;
  }
  for (let row = 1; row < places.length; row++) {
    check.equal(Atomics.load(m.openFile.refs, row), places[row] as number, `open file ${row}`);
    if (places[row] === 0) continue;
    const inode = m.openFile.inode[row] as number;
    const state = m.object.state[itemOf(m, CACHE_INODE, inode)] as number;
    check.equal(state, OBJECT_USED, `inode ${inode} of open file ${row}`);
  }
}
