// SPDX-License-Identifier: MIT
/**
 * Exhaustive search: every execution of a scenario that can matter, each once.
 *
 * The executions form a tree: a node is a state, a branch the thread that goes next. The search
 * keeps one path of it, the execution that ran last, and no state: to come back to a node it runs
 * the path again (that is the plan), takes another branch there, and lets the running thread go on
 * (POLICY_STAY) as deep as it goes. Three ways of choosing the branches of a node:
 *
 *   source-DPOR  (reduction, no bound)  Abdulla, Aronis, Jonsson, Sagonas, JACM 2017. Only branches
 *                that turn a race round, see event_order.ts. A branch that was explored falls
 *                asleep below its siblings until a step that depends on it: an execution in which
 *                all who could go on are asleep was seen in another order and is broken off
 *                (redundant). What a sleeper's next step comes to is known: it was executed there.
 *   bounded      (reduction, a preemption bound)  Coons, Musuvathi, McKinley, OOPSLA 2013. A race
 *                adds the racing thread before the race and at the start of the block of steps that
 *                one thread took there, where the switch may cost nothing. No sleep sets: what put
 *                a thread to sleep may have been cut off by the bound.
 *   all          (no reduction)  Every enabled thread at every node, within the bound if any.
 *
 * A branch that goes from a thread that could have gone on is a preemption; one from a thread that
 * waits, spins or has ended is free.
 *
 * What "complete" means. Every outcome that `check`, a recorded history or `invariant` can tell
 * apart was seen, for the data that `setup` made, given: threads that differ in nothing but the
 * schedule, whose plain accesses do not race (one is no scheduling point unless races are looked
 * for); waits that time out only when nothing else can happen (unless TIMEOUTS_ANY); spinners that
 * do not count their rounds. Executions longer than F_STEPS_MAX were cut there and are
 * counted. A thread's clock goes on by its own readings and by idle time: what other threads do
 * does not show in it.
 */
import {
  type Control,
  F_TICK,
  H_PLAN_LENGTH,
  H_PLAN_STRICT,
  H_SLEEP,
  LOG_AUX,
  LOG_CHANGED,
  LOG_LOC,
  LOG_SLEEP,
  LOG_WHAT,
  LOG_WORDS,
  OUTCOME_DIVERGED,
  OUTCOME_REDUNDANT,
  OUTCOME_STEPS,
  POLICY_STAY,
  R_BYTES,
  R_KIND,
  R_LOC,
  R_SLEEP_KIND,
  R_STATE,
  STATE_READY,
} from './control.ts';
import { EventOrder, wider } from './event_order.ts';
import { effect, OP_NOTIFY, OP_WAIT } from './ops.ts';
import { clearPlan, isFailure, type Outcome, type Strategy, seedExecution } from './strategy.ts';

/** Threads that the log's masks have room for. */
export const DFS_THREADS_MAX = 29;

export interface DfsOptions {
  /** Preemptions of an execution at most; Infinity, the default, for no bound. */
  readonly preemptions?: number;
  /** Executions at most; Infinity by default. */
  readonly maxExecutions?: number;
  /** false: all interleavings, equivalent ones too. Default true. */
  readonly reduction?: boolean;
  /** Something looks at memory between steps: the order of any two changes counts. */
  readonly watched?: boolean;
  /** Seed of the threads' own chance, the same in all executions. */
  readonly seed?: number;
}

/** What the search did so far. */
export interface DfsStats {
  /** Executions, redundant ones included. */
  readonly executions: number;
  /** Executions that were broken off since an equivalent one was seen. */
  readonly redundant: number;
  /** Executions that the step bound cut. */
  readonly cut: number;
  readonly steps: number;
  /** Steps of the longest execution. */
  readonly deepest: number;
  /** The same schedule did something else when it was run again: the search has stopped. */
  readonly diverged: boolean;
  /** Nothing is left to explore, within the bounds. */
  readonly complete: boolean;
  /** Estimated part of the tree that was explored, 0 .. 1. */
  readonly fraction: number;
}

const MODE_SOURCE = 0;
const MODE_BOUNDED = 1;
const MODE_ALL = 2;

/**
 * The search as a strategy. `prepare` returns false when it is complete, has used its executions,
 * or has found that the threads do not repeat themselves: see `stats`.
 */
export class DfsStrategy implements Strategy {
  readonly name = 'dfs';
  readonly preemptions: number;
  readonly #mode: number;
  readonly #maxExecutions: number;
  readonly #seed: number;
  readonly #watched: boolean;
  #order: EventOrder | null = null;
  /** Columns by node, as bits of threads: branches to explore, and explored. */
  #branches = new Int32Array(256);
  #explored = new Int32Array(256);
  /** Threads asleep when the node is entered. */
  #asleep = new Int32Array(256);
  /** Of each node, by thread: what the next step of one asleep, or explored, comes to. */
  #kinds = new Uint8Array(1024);
  /** Preemptions on the way to the node. */
  #cost = new Int32Array(256);
  /** Steps of the path whose order is kept: those above the branch that is taken next. */
  #kept = 0;
  #complete = false;
  #diverged = false;
  #executions = 0;
  #redundant = 0;
  #cut = 0;
  #steps = 0;
  #deepest = 0;

  constructor(options: DfsOptions = {}) {
    const { preemptions = Infinity, maxExecutions = Infinity, reduction = true } = options;
    this.preemptions = preemptions;
    this.#maxExecutions = maxExecutions;
    this.#seed = options.seed ?? 0;
    this.#watched = options.watched ?? false;
    if (!reduction) this.#mode = MODE_ALL;
    else this.#mode = preemptions === Infinity ? MODE_SOURCE : MODE_BOUNDED;
  }

  get stats(): DfsStats {
    return {
      executions: this.#executions,
      redundant: this.#redundant,
      cut: this.#cut,
      steps: this.#steps,
      deepest: this.#deepest,
      diverged: this.#diverged,
      complete: this.#complete,
      fraction: this.#fraction(),
    };
  }

  /** Estimated part of the tree that was explored, 0 .. 1. */
  fraction(): number {
    return this.#fraction();
  }

  describe(): Record<string, unknown> {
    return { ...this.stats };
  }

  /** Sleep sets are used: not with an order of changes, which the scheduler knows nothing of. */
  get #sleeps(): boolean {
    return this.#mode === MODE_SOURCE && !this.#watched;
  }

  prepare(control: Control): boolean {
    const { words } = control;
    if (this.#order === null) {
      if (control.threads > DFS_THREADS_MAX) {
        throw new RangeError(`exhaustive search takes at most ${DFS_THREADS_MAX} threads`);
      }
      this.#order = new EventOrder(control.threads, this.#watched);
      clearPlan(control, POLICY_STAY);
      seedExecution(control, this.#seed);
      control.numbers[F_TICK] = 0;
      return this.#maxExecutions > 0;
    }
    if (this.#complete || this.#diverged || this.#executions >= this.#maxExecutions) return false;
    const thread = this.#advance();
    if (thread < 0) {
      this.#complete = true;
      return false;
    }
    const node = this.#kept;
    for (let k = 0; k < node; k++) control.plan[k] = this.#order.thread[k] as number;
    control.plan[node] = thread;
    words[H_PLAN_LENGTH] = node + 1;
    words[H_PLAN_STRICT] = 1;
    const asleep = (this.#asleep[node] as number) | (this.#explored[node] as number);
    words[H_SLEEP] = this.#sleeps ? asleep : 0;
    for (let t = 0; t < control.threads; t++) {
      words[control.row(t) + R_SLEEP_KIND] = this.#kinds[node * control.threads + t] as number;
    }
    return true;
  }

  learn(outcome: Outcome, control: Control): void {
    const order = this.#order as EventOrder;
    this.#executions++;
    this.#steps += outcome.steps;
    if (outcome.steps > this.#deepest) this.#deepest = outcome.steps;
    if (outcome.kind === OUTCOME_REDUNDANT) this.#redundant++;
    const steps = Math.min(control.logged, control.plan.length);
    if (outcome.kind === OUTCOME_STEPS || steps < outcome.steps) this.#cut++;
    if (outcome.kind === OUTCOME_DIVERGED || !this.#sameAsBefore(control, steps)) {
      this.#diverged = true;
      return;
    }
    const first = this.#kept;
    for (let i = first; i < steps; i++) {
      order.append(control.log, i);
      this.#enter(i, i > first || this.#executions === 1);
      if (this.#mode !== MODE_ALL) this.#backtrack(i);
    }
    if (this.#mode !== MODE_ALL && isFailure(outcome.kind)) {
      this.#backtrackPending(outcome, control);
    }
  }

  /** The branch was taken again, and the steps above it are those of last time. */
  #sameAsBefore(control: Control, steps: number): boolean {
    const { thread, kind, loc } = this.#order as EventOrder;
    const { log } = control;
    if (steps < this.#kept) return false;
    for (let i = 0; i < this.#kept; i++) {
      const what = log[i * LOG_WORDS + LOG_WHAT] as number;
      const changed = ((log[i * LOG_WORDS + LOG_SLEEP] as number) & LOG_CHANGED) !== 0;
      const aux = log[i * LOG_WORDS + LOG_AUX] as number;
      if (effect((what >> 8) & 0xff, changed, aux) !== kind[i]) return false;
      if ((what & 0xff) !== thread[i] || log[i * LOG_WORDS + LOG_LOC] !== loc[i]) return false;
    }
    return true;
  }

  /** Sets up the node at which step i was taken; an old one gets its cost only. */
  #enter(i: number, fresh: boolean): void {
    const order = this.#order as EventOrder;
    if (i >= this.#branches.length) {
      this.#branches = wider(this.#branches);
      this.#explored = wider(this.#explored);
      this.#asleep = wider(this.#asleep);
      this.#cost = wider(this.#cost);
    }
    if ((i + 1) * order.threads > this.#kinds.length) this.#kinds = wider(this.#kinds);
    this.#cost[i] = i === 0 ? 0 : this.#costAfter(i - 1, order.thread[i - 1] as number);
    if (!fresh) return;
    const width = order.threads;
    if (i > 0) this.#kinds.copyWithin(i * width, (i - 1) * width, i * width);
    const all = this.#mode === MODE_ALL;
    this.#branches[i] = all ? (order.enabled[i] as number) : 1 << (order.thread[i] as number);
    this.#explored[i] = 0;
    this.#asleep[i] = this.#sleeps ? (order.sleep[i] as number) : 0;
  }

  /** Preemptions up to and with the branch of a thread at a node. */
  #costAfter(node: number, thread: number): number {
    const cost = this.#cost[node] as number;
    if (node === 0) return cost;
    const { thread: threads, enabled, kind, aux } = this.#order as EventOrder;
    const running = threads[node - 1] as number;
    if (running === thread || ((enabled[node] as number) & (1 << running)) === 0) return cost;
    const waits = kind[node - 1] === OP_WAIT && aux[node - 1] === 1;
    return waits ? cost : cost + 1;
  }

  /** Adds the branches that turn round the races that step i ends. */
  #backtrack(i: number): void {
    const order = this.#order as EventOrder;
    const { races, raceCount } = order;
    for (let r = 0; r < raceCount; r++) {
      const j = races[r] as number;
      if (this.#mode === MODE_SOURCE) this.#addInitial(j, i);
      else this.#addBounded(j, order.thread[i] as number);
    }
    if (order.kind[i] !== OP_NOTIFY) return;
    // Those it woke that could have gone on before: their wait could have timed out.
    let woken = (order.aux[i] as number) & (order.enabled[i] as number);
    for (; woken !== 0; woken &= woken - 1) {
      const thread = 31 - Math.clz32(woken & -woken);
      if (this.#mode === MODE_SOURCE)
        this.#branches[i] = (this.#branches[i] as number) | (1 << thread);
      else this.#addBounded(i, thread);
    }
  }

  /** One of the threads that can go first at node j in an execution where i comes before j. */
  #addInitial(j: number, i: number): void {
    const order = this.#order as EventOrder;
    const enabled = order.enabled[j] as number;
    const initials = order.initials(j, i) & enabled;
    const known = (this.#branches[j] as number) | (this.#asleep[j] as number);
    if ((initials & known) !== 0) return;
    const added = initials === 0 ? enabled : initials & -initials;
    this.#branches[j] = (this.#branches[j] as number) | added;
  }

  /** The thread at node j, and where the block of steps that j is in began. */
  #addBounded(j: number, thread: number): void {
    const { enabled, thread: threads } = this.#order as EventOrder;
    let block = j;
    while (block > 0 && threads[block - 1] === threads[block]) block--;
    for (const node of [j, block]) {
      const can = enabled[node] as number;
      const added = (can & (1 << thread)) !== 0 ? 1 << thread : can;
      this.#branches[node] = (this.#branches[node] as number) | added;
    }
  }

  /** An execution that broke off: what its threads had posted would have raced, too. */
  #backtrackPending(outcome: Outcome, control: Control): void {
    const order = this.#order as EventOrder;
    const { words } = control;
    for (let t = 0; t < control.threads; t++) {
      const row = control.row(t);
      if (words[row + R_STATE] !== STATE_READY) continue;
      if (t === outcome.culprit && outcome.kind !== OUTCOME_STEPS) continue;
      const i = order.length;
      order.appendPending(
        t,
        words[row + R_KIND] as number,
        words[row + R_LOC] as number,
        words[row + R_BYTES] as number,
      );
      this.#backtrack(i);
      order.truncate(i);
    }
  }

  /** Goes up to the deepest node with a branch left. @returns the branch; -1 for none */
  #advance(): number {
    const order = this.#order as EventOrder;
    for (let node = order.length - 1; node >= 0; node--) {
      const taken = 1 << (order.thread[node] as number);
      const explored = (this.#explored[node] as number) | taken;
      this.#explored[node] = explored;
      this.#kinds[node * order.threads + (order.thread[node] as number)] = order.kind[
        node
      ] as number;
      let left = (this.#branches[node] as number) & ~explored & ~(this.#asleep[node] as number);
      for (; left !== 0; left &= left - 1) {
        const thread = 31 - Math.clz32(left & -left);
        if (this.#costAfter(node, thread) > this.preemptions) continue;
        order.truncate(node);
        this.#kept = node;
        return thread;
      }
    }
    return -1;
  }

  /** Knuth's estimate along the path, over the branches that are known. */
  #fraction(): number {
    if (this.#complete) return 1;
    const order = this.#order;
    let share = 1;
    let sum = 0;
    for (let node = 0; order !== null && node < order.length; node++) {
      const known = bits((this.#branches[node] as number) & ~(this.#asleep[node] as number));
      if (known < 2) continue;
      share /= known;
      sum += share * bits(this.#explored[node] as number);
    }
    return sum;
  }
}

/** Number of bits set. */
function bits(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count++;
  return count;
}
