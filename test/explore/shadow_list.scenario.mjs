// SPDX-License-Identifier: GPL-2.0-only
/** The list of shadow nodes: reclaim takes one off while its slots and its group come and go. */
import { expect, openSubject, sharedTables } from './subject.mjs';

const plants = {
  late_removal: {
    says: 'a node leaves its list when its cluster has been let go',
    module: 'mm/shadow_nodes',
    edits: [
      [
        'remove(node);\n    listOf(m)?.put(m, group[node]);\n    clusterUnlock(m, first);',
        'listOf(m)?.put(m, group[node]);\n    clusterUnlock(m, first);\n    remove(node);',
      ],
    ],
    variant: 'heir',
  },
  any_list: {
    says: 'a node of a group without a list goes on the list of the group above',
    module: 'mm/list_lru_entry',
    edits: [['Atomics.load(m.memcg.state, group) !== MEMCG_DYING', 'false']],
    variant: 'late',
  },
  blind_owner: {
    says: 'a node is given to a group without a look whether that goes',
    module: 'mm/shadow_nodes',
    edits: [['if (!memcgOnline(m, memcg))\n        moveNode', 'if (false)\n        moveNode']],
    variant: 'leave',
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const { declareRcu, enterRcu, leaveRcu } = await load('rcu');
const { initRcu } = await load('rcu_table');
const { RCU_NR_ROWS } = await load('rcu_state');
const { MEMCG_DYING, MEMCG_ONLINE } = await load('mm/mm_types');
const { listLruInit, listLruMemcgAlloc, memcgReparentListLrus } = await load('mm/list_lru');
const { findList, listAt, listHead, listLruTablesInit } = await load('mm/list_lru_entry');
const { declareListLru, LIST_COUNT, listLruSizes } = await load('mm/list_lru_types');
const { NODE_NO_LIST, NODE_ON_LIST } = await load('mm/mapping_types');
const nodes = await load('mm/shadow_nodes');
const { shadowShrinkerType } = await load('mm/shadow_list');
const { clusterLock, clusterUnlock } = await load('mm/swap_cluster');

const THREADS = 3;
const EVENTS = 256;
const GROUPS = 4;
const SHADOW_NODES = 3;
/** A slot of node 1, and its shadow: valid, of NUMA node 0. */
const SLOT = 5;
const SHADOW = 1;
const NODE = nodes.shadowNodeOf(SLOT);
const PFN = 9;

function declare(sizes) {
  const memcg = { state: 'i32', parent: 'i32', refs: 'i32', releaseNext: 'i32' };
  const slot = { cache: 'i32', shadowTag: 'i32', shadowAge: 'i32', memcg: 'i32' };
  const shadowNode = { shadows: 'i32', cached: 'i32', listed: 'i32', nid: 'i32', group: 'i32' };
  return sharedTables((builder) => {
    const words = (name, rows) => builder.columns(name, { words: 'i32' }, rows).words;
    return {
      lists: declareListLru(builder, sizes.lists),
      rcu: declareRcu(builder, { queueEntries: 8 }),
      memcg: builder.columns('memcg', memcg, GROUPS),
      slot: builder.columns('slot', slot, sizes.nrSlots),
      shadowNode: builder.columns('shadowNode', shadowNode, SHADOW_NODES),
      shadowLru: words('shadowLru', 2),
      clusterLock: words('clusterLock', 1),
      node: builder.columns('node', { workingsetNodes: 'i32' }, 1),
    };
  });
}

function bound(state, id) {
  const m = { ...state, config: { kmem: true }, task: { events: new Float64Array(EVENTS) } };
  enterRcu(m.rcu, id);
  return m;
}

/** A fault takes the slot's shadow, and the slot comes to be of a group that leaves its own. */
function reuse(m, memcg) {
  clusterLock(m, SLOT);
  nodes.setSlotCache(m, SLOT, PFN);
  nodes.setSlotShadow(m, SLOT, 0, 0);
  m.slot.memcg[SLOT] = memcg;
  clusterUnlock(m, SLOT);
  evict(m, memcg);
}

function evict(m, memcg) {
  clusterLock(m, SLOT);
  m.slot.memcg[SLOT] = memcg;
  nodes.setSlotShadow(m, SLOT, SHADOW, 0);
  nodes.setSlotCache(m, SLOT, 0);
  clusterUnlock(m, SLOT);
}

/** Groups 1 and 2, and 3 below 2; the node is on the list of group 1. */
function tables({ lists = [1, 2, 3], owner = 1 } = {}) {
  const sizes = {
    nrNodes: 1,
    nrSlots: 64 * (SHADOW_NODES - 1),
    nrShadowNodes: SHADOW_NODES,
    lists: listLruSizes(1, GROUPS, 0, 1, SHADOW_NODES),
  };
  const state = { ...declare(sizes), sizes, mayLack: lists.length < GROUPS - 1 };
  initRcu(state.rcu);
  state.rcu.words[RCU_NR_ROWS] = THREADS + 1;
  begin({ id: 0 });
  const m = bound(state, 1);
  listLruTablesInit(m);
  for (let group = 0; group < GROUPS; group++) {
    m.memcg.state[group] = MEMCG_ONLINE;
    m.memcg.refs[group] = 1;
  }
  m.memcg.parent[3] = 2;
  m.shadowLru[0] = listLruInit(m, true, 0);
  for (const group of lists) expect(listLruMemcgAlloc(m, m.shadowLru[0], group) === 0, 'no list');
  if (owner > 0) {
    m.slot.cache[SLOT] = PFN;
    m.shadowNode.cached[NODE] = 1;
    evict(m, owner);
  }
  leaveRcu();
  return state;
}

function thread(name, act) {
  const run = (state, context) => {
    begin(context);
    act(bound(state, context.id + 1));
    leaveRcu();
  };
  return Object.defineProperty(run, 'name', { value: name });
}

const shrinker = (memcg) =>
  thread('shrinker', (m) => {
    shadowShrinkerType.scanObjects(m, { nid: 0, memcg, nrToScan: 1 });
  });
const user = (memcg) => thread('user', (m) => reuse(m, memcg));
const leaver = thread('leaver', (m) => {
  Atomics.store(m.memcg.state, 3, MEMCG_DYING);
  memcgReparentListLrus(m, 3, 2);
  nodes.shadowNodesReparent(m, 3);
});
/** Group 3 gets a list when it has nodes already. */
const comer = thread('comer', (m) => {
  expect(listLruMemcgAlloc(m, m.shadowLru[0], 3) === 0, 'no list');
});

/** Nodes on a list. @throws when the list is broken, or counts others */
function listed(m, list) {
  const { next, prev } = m.lists.link;
  const head = listHead(m, list);
  const found = [];
  for (let item = next[head], before = head; item !== head; before = item, item = next[item]) {
    expect(item >= 0 && prev[item] === before, `list ${list} is broken at ${item}`);
    expect(found.length < SHADOW_NODES, `list ${list} has no end`);
    found.push(item - m.sizes.lists.firstShadow);
  }
  expect(prev[head] === (found.length === 0 ? head : found.at(-1) + m.sizes.lists.firstShadow), '');
  const counted = m.lists.list[listAt(list) + LIST_COUNT];
  expect(counted === found.length, `list ${list} has ${found.length} nodes, counts ${counted}`);
  return found;
}

function sound(state) {
  begin({ id: 0 });
  const m = bound(state, 1);
  const { shadows, cached, group, listed: where } = m.shadowNode;
  const on = [];
  for (let memcg = 0; memcg < GROUPS; memcg++) {
    const list = findList(m, m.shadowLru[0], 0, memcg);
    if (list < 0) continue;
    for (const node of listed(m, list)) on.push([node, memcg]);
  }
  const wanted = shadows[NODE] > 0 && cached[NODE] === 0;
  expect(wanted === (where[NODE] !== 0), `a node with ${shadows[NODE]} shadows: ${where[NODE]}`);
  expect(where[NODE] !== NODE_NO_LIST || state.mayLack, 'a node on no list, which its group has');
  const told = where[NODE] === NODE_ON_LIST ? `${NODE},${group[NODE]}` : '';
  expect(on.join() === told, `on lists: ${on.join()}; says: ${told}`);
  expect(m.node.workingsetNodes[0] === on.length, 'nodes are counted wrong');
  for (let memcg = 1; memcg < GROUPS; memcg++) {
    const refs = m.memcg.refs[memcg];
    const holds = shadows[NODE] > 0 && group[NODE] === memcg ? 1 : 0;
    expect(refs === 1 + holds, `group ${memcg} has ${refs} references`);
  }
  if (shadows[NODE] > 0) {
    expect(m.memcg.state[group[NODE]] === MEMCG_ONLINE, 'a node of a group that is gone');
  }
  leaveRcu();
}

export const exploration = {
  subject: 'shadow_list',
  asserts:
    'a node with nothing but shadows is on the list of its group, once, or says that it is on ' +
    'none; lists agree and count; a group that goes keeps no node',
  plants,
  variants: {
    heir: {
      says: 'a scan takes a node; its slot goes to another group',
      setup: () => tables(),
      threads: [shrinker(1), user(2)],
      check: sound,
    },
    leave: {
      says: 'a node of a group that goes leaves its list, and comes back',
      setup: () => tables({ owner: 3 }),
      threads: [user(3), leaver],
      check: sound,
    },
    late: {
      says: 'a node comes to a group that gets its list late',
      setup: () => tables({ lists: [1, 2] }),
      threads: [
        thread('twice', (m) => {
          reuse(m, 3);
          reuse(m, 1);
        }),
        comer,
      ],
      check: sound,
    },
    scanLeave: {
      says: 'a scan takes a node of a group that goes',
      setup: () => tables({ owner: 3 }),
      threads: [shrinker(3), leaver],
      check: sound,
    },
    three: {
      says: 'a scan takes a node; its slot goes to a group that goes',
      setup: () => tables(),
      threads: [shrinker(1), user(3), leaver],
      preemptions: 2,
      check: sound,
    },
  },
};

export const { setup, threads, check, options } = choose(exploration);
