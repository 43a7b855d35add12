// SPDX-License-Identifier: GPL-2.0-only
/**
 * The smallest machine on which the shrinkers of src/mm run: their tables, a few groups on one
 * node, and caches of objects.
 *
 * A cache has a number that is never used again, whatever row and id its shrinker gets: its life
 * (`alive`), the row of its shrinker while that is registered (`row`), and objects per group. Its
 * callbacks look whether they may run, at every step. A group has a reference count as a css has.
 */
import { shrinkerWalk } from '../../dist/src/mm/config.js';
import { CACHES, cacheActs, cacheCallbacks, groupActs, TYPE } from './shrinker_acts.mjs';
import { machineCheck } from './shrinker_checks.mjs';
import { sharedTables } from './subject.mjs';

/** 'lockless' is the code of 'lockless-fixed' but for its flaws, which are plants here. */
export const POLICIES = ['rwsem', 'srcu', 'lockless-fixed'];

const EVENTS = 256;
const THREADS = 3;

/** The modules that scenarios and their parts use. @param load of openSubject */
async function loadCore(load) {
  return {
    rcu: await load('rcu'),
    ...(await load('rcu_state')),
    ...(await load('rcu_table')),
    ...(await load('rcu_callback')),
    ...(await load('srcu')),
    completion: await load('completion'),
    refs: await load('refcount'),
    mmTypes: await load('mm/mm_types'),
    shrinkers: await load('mm/shrinker'),
    infos: await load('mm/shrinker_expand'),
    info: await load('mm/shrinker_info'),
    ops: await load('mm/shrinker_ops'),
    types: await load('mm/shrinker_types'),
    ...(await load('mm/shrinker_debug')),
    ...(await load('mm/shrink_slab')),
    ...(await load('mm/rcu_ids')),
  };
}

/** The tables, with nothing in them. @param sizes of the machine */
function declareMachine({ types, rcu }, sizes, groups) {
  const links = { parent: 'i32', firstChild: 'i32', nextSibling: 'i32' };
  const memcg = { state: 'i32', serial: 'i32', refs: 'i32', done: 'i32', ...links };
  const counts = { counted: 'i32', taken: 'i32', freed: 'i32', objects: 'i32' };
  const caches = { alive: 'i32', row: 'i32', ...counts };
  return sharedTables((builder) => ({
    shrinker: types.declareShrinkers(builder, sizes.shrinkers),
    rcu: rcu.declareRcu(builder, { queueEntries: 8 }),
    lruvec: builder.columns('lruvec', { shrinkerInfo: 'i32' }, groups),
    memcg: builder.columns('memcg', memcg, groups),
    caches: builder.columns('caches', caches, CACHES * groups),
  }));
}

/**
 * @param subject of openSubject
 * @param plants of the scenario; one with `flaw` is the flaw of that name, switched on
 */
export async function shrinkerMachine({ load, begin, plant }, plants) {
  const core = await loadCore(load);
  const { rcu, types } = core;
  const cacheType = cacheCallbacks(core);
  const acts = cacheActs(core);
  const groups = groupActs(core, acts.put, plant);
  const checkMachine = machineCheck(core);

  /** The machine as a thread sees it. */
  function bound(state, id) {
    const m = {
      ...state,
      config: { shrinker: state.policy, kmem: state.kmem, accessKernel: 'ts' },
      shrinkerFlaws: new Set(state.flaws),
      shrinkerWalk: shrinkerWalk(state.policy),
      shrinkerTypes: [],
      task: { id, events: new Float64Array(EVENTS), gentle: false },
    };
    core.ops.registerShrinkerType(m, TYPE, cacheType);
    rcu.enterRcu(m.rcu, id);
    core.bindRcuCallbacks(m);
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

  /** What is there at the start. @param made tables @param spec of tables */
  function fill(made, { rows, nrGroups, unborn, idsTaken, first }, state) {
    core.initRcu(made.rcu);
    // The threads' rows are there: who registers first is of no interest.
    made.rcu.words[core.RCU_NR_ROWS] = THREADS + 1;
    for (let id = 1; id <= THREADS; id++) new core.SrcuDomain(made.shrinker.srcu, 0, id);
    begin({ id: 0 });
    const m = bound(state, 1);
    core.shrinkers.shrinkerInit(m);
    m.memcg.state[0] = core.mmTypes.MEMCG_ONLINE;
    if (idsTaken > 0) {
      // Ids of shrinkers that nobody looks at: the next one needs a longer map.
      m.shrinker.idr.fill(rows + idsTaken, 0, idsTaken);
      m.shrinker.words[types.SHRINKER_NR_MAX] = types.SHRINKER_UNIT_BITS;
    }
    for (let g = 1; g < nrGroups - unborn; g++) groups.online(m, g, g - 1);
    first(m);
    rcu.leaveRcu();
  }

  /**
   * @param spec policy; kmem; rows: shrinkers that there may be; groups, the root included, each in
   * the one before; unborn: that many of them are not there yet; idsTaken: ids that nobody gets;
   * `first(m)`: what is there at the start
   */
  function tables(spec) {
    const { policy, kmem = true, rows = 2, groups: nrGroups = 2, unborn = 0, idsTaken = 0 } = spec;
    const shrinkers = types.shrinkerSizes(1, nrGroups, rows + idsTaken);
    const sizes = { nrNodes: 1, nrLruvecs: nrGroups, shrinkers };
    const made = declareMachine(core, sizes, nrGroups);
    const flaws = plants[plant]?.flaw ? [plant] : [];
    const state = { ...made, sizes, policy, kmem, flaws, groups: nrGroups };
    fill(made, { rows, nrGroups, unborn, idsTaken, first: spec.first }, state);
    return state;
  }

  /** What must hold when all threads have ended. */
  function check(state) {
    begin({ id: 0 });
    checkMachine(bound(state, 1));
    rcu.leaveRcu();
  }

  /**
   * Every way, with every policy.
   * @param ways as variants, with `spec` of tables, and in `suite` the policies for the suite
   * @returns `variants`, and `more` for campaigns: those with three threads of one policy run
   * briefly in the suite
   */
  function perPolicy(ways) {
    const made = { variants: {}, more: {} };
    for (const [name, { says, spec, suite = [], ...way }] of Object.entries(ways)) {
      for (const policy of POLICIES) {
        const setup = () => tables({ policy, ...spec });
        const kind = suite.includes(policy) ? 'variants' : 'more';
        const brief = way.threads.length > 2 && policy === 'lockless-fixed';
        const variant = { check, brief, ...way, says: `${policy}: ${says}`, setup };
        made[kind][`${policy}_${name}`] = variant;
      }
    }
    return made;
  }

  return { ...acts, ...groups, thread, perPolicy, check, rcuBarrier: core.rcuBarrier };
}
