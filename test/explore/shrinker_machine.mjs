// SPDX-License-Identifier: GPL-2.0-only
/**
 * The smallest machine on which the shrinkers of src/mm run: their tables, a few groups on one
 * node, and caches of objects.
 *
 * A cache has a number that is never used again, whatever row and id its shrinker gets: its life
 * (`alive`), the row of its shrinker while that is registered (`row`), and objects per group. Its
 * callbacks look whether they may run, at every step. A group has a reference count as a css has.
 */
import { expect, sharedTables } from './subject.mjs';

/** 'lockless' is the code of 'lockless-fixed' but for its flaws, which are plants here. */
export const POLICIES = ['rwsem', 'srcu', 'lockless-fixed'];
export const CACHES = 4;

const ALIVE = 1;
const GONE = -1;
const EVENTS = 256;
const THREADS = 3;
const TYPE = 2;
const ONLINE = 1;
const DYING = 2;
/** A gentle pass over so many objects, or up to three more, scans none, and puts off PUT_OFF. */
export const OBJECTS_PUT_OFF = 16;
const PUT_OFF = 8;
/** Priority of a gentle pass. */
export const GENTLE = 2;

/**
 * @param subject of openSubject
 * @param plants of the scenario; one with `flaw` is the flaw of that name, switched on
 */
export async function shrinkerMachine({ load, begin, plant }, plants) {
  const rcu = await load('rcu');
  const { RCU_NR_ROWS } = await load('rcu_state');
  const { initRcu } = await load('rcu_table');
  const { SrcuDomain } = await load('srcu');
  const { rcuBarrier } = await load('rcu_callback');
  const { completeAll, completionWait } = await load('completion');
  const { refcountDecAndTest, refcountIncNotZero } = await load('refcount');
  const core = await load('mm/shrinker');
  const infos = await load('mm/shrinker_expand');
  const info = await load('mm/shrinker_info');
  const ops = await load('mm/shrinker_ops');
  const types = await load('mm/shrinker_types');
  const { shrinkSlab } = await load('mm/shrink_slab');
  const { bindRcuCallbacks } = await load('mm/rcu_ids');

  /** @throws when the cache may not be used, or its row is another's */
  function use(m, sc) {
    const { alive } = m.caches;
    expect(Atomics.load(alive, sc.arg) === ALIVE, `a callback of cache ${sc.arg}, which is gone`);
    const { arg, id, idr, flags } = m.shrinker;
    const s = sc.shrinker;
    expect(arg[s] === sc.arg, `row ${s} is cache ${arg[s]}'s, not ${sc.arg}'s`);
    const seen = Atomics.load(flags, s);
    expect((seen & types.SHRINKER_ALLOCATED) !== 0, `a callback of row ${s}, which is free`);
    const aware = (seen & types.SHRINKER_MEMCG_AWARE) !== 0;
    expect(aware || sc.memcg === 0, `a callback of row ${s} for a group, which it does not know`);
    if (id[s] < 0) return;
    const owner = Atomics.load(idr, id[s]);
    expect(owner === s, `a callback of row ${s}, whose id leads to row ${owner}`);
  }

  const cacheType = {
    countObjects(m, sc) {
      use(m, sc);
      rcu.rcuQuiescent();
      const left = Atomics.load(m.caches.objects, sc.memcg * CACHES + sc.arg);
      const putsOff = m.task.gentle && left >= OBJECTS_PUT_OFF;
      if (putsOff) Atomics.add(m.caches.counted, sc.arg, 1);
      return left || ops.SHRINK_EMPTY;
    },
    scanObjects(m, sc) {
      const at = sc.memcg * CACHES + sc.arg;
      let freed = 0;
      use(m, sc);
      for (let seen = Atomics.load(m.caches.objects, at); seen > 0 && freed < sc.nrToScan; ) {
        const was = Atomics.compareExchange(m.caches.objects, at, seen, seen - 1);
        freed += Number(was === seen);
        seen = was === seen ? seen - 1 : was;
      }
      rcu.rcuQuiescent();
      use(m, sc);
      return freed;
    },
  };

  /** The machine as a thread sees it. */
  function bound(state, id) {
    const m = {
      ...state,
      config: { shrinker: state.policy, kmem: state.kmem, accessKernel: 'ts' },
      shrinkerFlaws: new Set(state.flaws),
      shrinkerTypes: [],
      task: { id, events: new Float64Array(EVENTS), gentle: false },
    };
    ops.registerShrinkerType(m, TYPE, cacheType);
    rcu.enterRcu(m.rcu, id);
    bindRcuCallbacks(m);
    return m;
  }

  /** A thread of a scenario: what it does, on its machine. */
  function thread(name, act) {
    const run = (state, context) => {
      begin(context);
      const m = bound(state, context.id + 1);
      const result = act(m);
      rcu.leaveRcu();
      return result ?? 0;
    };
    return Object.defineProperty(run, 'name', { value: name });
  }

  /** Allocates the shrinker of a cache, and says that it may be used. */
  function alloc(m, cache, flags = types.SHRINKER_MEMCG_AWARE) {
    const s = core.shrinkerAlloc(m, flags, TYPE, cache, '');
    expect(s > 0, `no shrinker: ${s}`);
    Atomics.store(m.caches.alive, cache, ALIVE);
    return s;
  }

  function register(m, cache, s) {
    core.shrinkerRegister(m, s);
    Atomics.store(m.caches.row, cache, s);
  }

  /** Adds an object to a group, unless that is gone, and says so. @param s row of the shrinker */
  function add(m, memcg, cache, s) {
    if (!refcountIncNotZero(m.memcg.refs, memcg)) return;
    Atomics.add(m.caches.objects, memcg * CACHES + cache, 1);
    info.setShrinkerBit(m, memcg, 0, m.shrinker.id[s]);
    put(m, memcg);
  }

  /** Takes a cache away; from then on nothing of it may be touched. */
  function free(m, cache, s) {
    Atomics.store(m.caches.row, cache, 0);
    core.shrinkerFree(m, s);
    Atomics.store(m.caches.alive, cache, GONE);
    for (let g = 0; g < m.groups; g++) m.caches.objects[g * CACHES + cache] = 0;
  }

  /** A pass over a group, if it can be had. @param priority 0: everything */
  function shrink(m, memcg, priority = 0) {
    if (memcg !== 0 && !refcountIncNotZero(m.memcg.refs, memcg)) return 0;
    m.task.gentle = priority === GENTLE;
    const freed = shrinkSlab(m, ops.GFP_KERNEL, 0, memcg, priority);
    put(m, memcg);
    return freed;
  }

  function put(m, memcg) {
    if (memcg !== 0 && refcountDecAndTest(m.memcg.refs, memcg)) completeAll(m.memcg.done, memcg);
  }

  /** Makes a group, which holds a reference on its parent. */
  function online(m, memcg, parent) {
    expect(infos.allocShrinkerInfo(m, memcg) === 0, 'no info for a group');
    m.memcg.parent[memcg] = parent;
    if (parent !== 0) expect(refcountIncNotZero(m.memcg.refs, parent), 'a parent that is gone');
    Atomics.store(m.memcg.state, memcg, ONLINE);
    Atomics.store(m.memcg.refs, memcg, 1);
  }

  /** What cgroup_rmdir does: objects and put-off work go to the parent. */
  function kill(m, memcg) {
    if (plant !== 'late_dying') Atomics.store(m.memcg.state, memcg, DYING);
    infos.reparentShrinkerDeferred(m, memcg);
    Atomics.store(m.memcg.state, memcg, DYING);
    put(m, memcg);
  }

  /** What cgroup_destroy does, when nobody has a reference any more. */
  function destroy(m, memcg) {
    completionWait(m.memcg.done, memcg);
    rcu.synchronizeRcu();
    infos.freeShrinkerInfo(m, memcg);
    Atomics.store(m.memcg.state, memcg, 0);
    put(m, m.memcg.parent[memcg]);
  }

  /** Takes the work that was put off in a group. */
  function take(m, memcg, cache) {
    if (!refcountIncNotZero(m.memcg.refs, memcg)) return;
    Atomics.add(m.caches.taken, cache, info.xchgNrDeferred(m, m.caches.row[cache], 0, memcg));
    put(m, memcg);
  }

  /**
   * @param spec policy; kmem; rows: shrinkers that there may be; groups, the root included, each in
   * the one before; unborn: that many of them are not there yet; idsTaken: ids that nobody gets;
   * `first(m)`: what is there at the start
   */
  function tables(spec) {
    const { policy, kmem = true, rows = 2, groups = 2, unborn = 0, idsTaken = 0, first } = spec;
    const flaws = plants[plant]?.flaw ? [plant] : [];
    const sizes = { nrNodes: 1, nrLruvecs: groups, shrinkers: null };
    sizes.shrinkers = types.shrinkerSizes(1, groups, rows + idsTaken);
    const made = sharedTables((builder) => ({
      shrinker: types.declareShrinkers(builder, sizes.shrinkers),
      rcu: rcu.declareRcu(builder, { queueEntries: 8 }),
      lruvec: builder.columns('lruvec', { shrinkerInfo: 'i32' }, groups),
      memcg: builder.columns('memcg', { state: 'i32', parent: 'i32', refs: 'i32', done: 'i32' }, 4),
      caches: builder.columns(
        'caches',
        { alive: 'i32', row: 'i32', counted: 'i32', taken: 'i32', objects: 'i32' },
        CACHES * groups,
      ),
    }));
    initRcu(made.rcu);
    // The threads' rows are there: who registers first is of no interest.
    made.rcu.words[RCU_NR_ROWS] = THREADS + 1;
    for (let id = 1; id <= THREADS; id++) new SrcuDomain(made.shrinker.srcu, 0, id);
    const state = { ...made, sizes, policy, kmem, flaws, groups };
    begin({ id: 0 });
    const m = bound(state, 1);
    core.shrinkerInit(m);
    m.memcg.state[0] = ONLINE;
    if (idsTaken > 0) {
      // Ids of shrinkers that nobody looks at: the next one needs a longer map.
      m.shrinker.idr.fill(rows + idsTaken, 0, idsTaken);
      m.shrinker.words[types.SHRINKER_NR_MAX] = types.SHRINKER_UNIT_BITS;
    }
    for (let g = 1; g < groups - unborn; g++) online(m, g, g - 1);
    first?.(m);
    rcu.leaveRcu();
    return { ...state };
  }

  /** The groups' bits and the registered shrinker of a cache, at the end. */
  function checkRegistered(m, cache, s) {
    const { flags, refcount, id, idr } = m.shrinker;
    expect((flags[s] & types.SHRINKER_REGISTERED) !== 0, `cache ${cache} is not registered`);
    expect(refcount[s] === 1, `${refcount[s]} references to cache ${cache}`);
    if (id[s] < 0) return;
    expect(idr[id[s]] === s, `the id of cache ${cache} leads to row ${idr[id[s]]}`);
    for (let g = 1; g < m.groups; g++) {
      if (m.memcg.state[g] !== ONLINE || m.caches.objects[g * CACHES + cache] === 0) continue;
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
    const { words, prev } = m.shrinker;
    expect(words[types.SHRINKER_LIVE] === live, `${words[types.SHRINKER_LIVE]} shrinkers live`);
    let freeRows = 0;
    for (let s = words[types.SHRINKER_FREE]; s !== 0; s = prev[s]) freeRows++;
    expect(freeRows === m.sizes.shrinkers.nrShrinkers - 1 - live, `${freeRows} rows are free`);
    for (let g = 1; g < m.groups; g++) {
      const row = m.lruvec.shrinkerInfo[g];
      if (row === 0) continue;
      const longEnough = info.infoNrMax(m, row) >= words[types.SHRINKER_NR_MAX];
      expect(longEnough, `the info of group ${g} is too short`);
    }
    const used = m.lruvec.shrinkerInfo.reduce((sum, row) => sum + Number(row !== 0), 0);
    expect(words[types.SHRINKER_INFOS_USED] === used, 'an info was lost');
  }

  /** What must hold when all threads have ended. */
  function check(state) {
    begin({ id: 0 });
    const m = bound(state, 1);
    let live = 0;
    for (let cache = 0; cache < CACHES; cache++) {
      const s = m.caches.row[cache];
      if (s === 0) continue;
      live++;
      checkRegistered(m, cache, s);
      checkPutOff(m, cache, s);
    }
    checkPools(m, live);
    rcu.leaveRcu();
  }

  /**
   * Every way, with every policy.
   * @param ways as variants, with `spec` of tables, and in `suite` the policies for the suite
   * @returns `variants`, and `more` for campaigns
   */
  function perPolicy(ways) {
    const made = { variants: {}, more: {} };
    for (const [name, { says, spec, suite = [], ...way }] of Object.entries(ways)) {
      for (const policy of POLICIES) {
        const setup = () => tables({ policy, ...spec });
        const kind = suite.includes(policy) ? 'variants' : 'more';
        made[kind][`${policy}_${name}`] = { check, ...way, says: `${policy}: ${says}`, setup };
      }
    }
    return made;
  }

  return {
    types,
    thread,
    perPolicy,
    alloc,
    register,
    add,
    free,
    shrink,
    online,
    kill,
    destroy,
    take,
    check,
    rcuBarrier,
  };
}
