// SPDX-License-Identifier: MIT
/**
 * What a failed execution died of: for each thread that did not end, what it waits for or spins on,
 * what that word holds, and who left it so.
 *
 * The thread that last changed a word which another is stuck on is, for a lock, its holder. Where
 * those threads form a ring, that is the deadlock.
 *
 * A *lost wake-up* is a thread asleep in `wait` though its word has changed since, with no notify
 * of the word after the change that it could have heard; or one that was notified between its last
 * look and its sleep.
 */
import type { AddressNames } from './address_names.ts';
import {
  OUTCOME_CHECK,
  OUTCOME_DEADLOCK,
  OUTCOME_INVARIANT,
  OUTCOME_LIVELOCK,
  OUTCOME_POISON,
  OUTCOME_RACE,
  OUTCOME_STEPS,
  OUTCOME_THREW,
  STATE_BLOCKED,
  STATE_DONE,
  STATE_SPINNING,
} from './control.ts';
import { changes, type Step, type Value } from './listing.ts';
import type { FailureRecord, ThreadRecord } from './messages.ts';
import { OP_NAMES, OP_NOTIFY, OP_WAIT } from './ops.ts';
import { type Frame, readFrames, shownPath, shownPlace } from './stack_frames.ts';

export type FailureKind =
  | 'check'
  | 'invariant'
  | 'thrown'
  | 'deadlock'
  | 'lost wake-up'
  | 'livelock'
  | 'step bound'
  | 'race'
  | 'use after free'
  | 'other';

/** A thread as the failure left it. */
export interface ThreadReport {
  readonly name: string;
  /** ended, threw, waits, spins, or ready: could have gone on. */
  readonly state: 'ended' | 'threw' | 'waits' | 'spins' | 'ready';
  /** A sentence without the thread's name and a full stop. */
  readonly doing: string;
  readonly frames: readonly Frame[];
}

export interface Diagnosis {
  readonly kind: FailureKind;
  /** One line: what failed. */
  readonly title: string;
  readonly threads: readonly ThreadReport[];
  /** What else there is to say, a line each. */
  readonly facts: readonly string[];
}

const KINDS = new Map<number, FailureKind>([
  [OUTCOME_CHECK, 'check'],
  [OUTCOME_INVARIANT, 'invariant'],
  [OUTCOME_THREW, 'thrown'],
  [OUTCOME_DEADLOCK, 'deadlock'],
  [OUTCOME_LIVELOCK, 'livelock'],
  [OUTCOME_STEPS, 'step bound'],
  [OUTCOME_RACE, 'race'],
  [OUTCOME_POISON, 'use after free'],
]);

/**
 * Finds out what happened.
 * @param steps of the failure, traced @param reached steps at which it was ended when it was found
 */
export function diagnose(
  failure: FailureRecord,
  steps: readonly Step[],
  places: AddressNames,
  reached: number,
): Diagnosis {
  return new Examiner(failure, steps, places).diagnose(reached);
}

class Examiner {
  readonly #failure: FailureRecord;
  readonly #steps: readonly Step[];
  readonly #places: AddressNames;
  readonly #names: readonly string[];

  constructor(failure: FailureRecord, steps: readonly Step[], places: AddressNames) {
    this.#failure = failure;
    this.#steps = steps;
    this.#places = places;
    this.#names = failure.threads.map((thread) => thread.name);
  }

  diagnose(reached: number): Diagnosis {
    const { outcome } = this.#failure;
    const threads = this.#failure.threads.map((thread, t) => this.#thread(thread, t));
    const lost = this.#failure.threads.flatMap((thread, t) => this.#lostWakeUp(thread, t));
    const idle = outcome === OUTCOME_DEADLOCK || outcome === OUTCOME_LIVELOCK;
    const early = this.#early();
    const ring = this.#ring();
    const facts = idle ? [...lost, ...early, ...ring] : [];
    let kind = KINDS.get(outcome) ?? 'other';
    if (outcome === OUTCOME_DEADLOCK && lost.length + early.length > 0) kind = 'lost wake-up';
    // Waits that time out, look, and wait again.
    if (outcome === OUTCOME_LIVELOCK && ring.length > 0) kind = 'deadlock';
    return { kind, title: this.#title(kind, reached), threads, facts };
  }

  #title(kind: FailureKind, reached: number): string {
    const { name, message, culprit, step } = this.#failure;
    const who = this.#names[culprit] ?? 'a thread';
    switch (kind) {
      case 'check':
        return `check failed: ${message}`;
      case 'invariant':
        return `invariant failed at step ${step}, in thread ${who}: ${message}`;
      case 'thrown':
        return `thread ${who} threw ${name}: ${message}`;
      case 'deadlock':
        return 'deadlock: no thread can go on';
      case 'lost wake-up':
        return 'lost wake-up: a thread sleeps although what it waits for has happened';
      case 'livelock':
        return 'livelock: threads go on, and nothing changes any more';
      case 'step bound':
        return `no end: ${reached} steps and threads are still at it`;
      case 'race':
      case 'use after free':
        return this.#readable(message);
      default:
        return message === '' ? kind : `${kind}: ${message}`;
    }
  }

  /** A message of those who watch accesses: they know threads and buffers by number. */
  #readable(message: string): string {
    return message
      .replace(/buffer (\d+), bytes? (\d+)(?:\.\.(\d+))?/g, (_, buffer, from, to = from) =>
        this.#places.nameIn(Number(buffer), Number(from), Number(to) - Number(from) + 1),
      )
      .replace(/\bthread (\d+)/g, (whole, t) => this.#names[Number(t)] ?? whole)
      .replace(/(\/[^\s:()]+)(?=:\d)/g, (path: string) => shownPath(path));
  }

  #thread(thread: ThreadRecord, t: number): ThreadReport {
    const { name, state, mail } = thread;
    const frames = this.#framesOf(thread, t);
    const say = (what: ThreadReport['state'], doing: string): ThreadReport => {
      return { name, state: what, doing, frames };
    };
    const threw = mail.error !== undefined && mail.error.name !== 'ExecutionAborted';
    if (t === this.#failure.culprit && threw) {
      const { name, message } = mail.error;
      return say('threw', `threw ${name}: ${this.#readable(message)}`);
    }
    if (state === STATE_DONE) return say('ended', 'has ended');
    if (state === STATE_BLOCKED) return say('waits', this.#waiting(thread, t));
    if (state === STATE_SPINNING) return say('spins', this.#spinning(thread, t));
    const word = thread.loc < 0 ? '' : ` ${this.#places.name(thread.loc, 4)}`;
    return say('ready', `is about to ${OP_NAMES[thread.kind] ?? 'go on'}${word}`);
  }

  /** Where it stood when it was unwound; else its last step. */
  #framesOf({ mail, state }: ThreadRecord, t: number): readonly Frame[] {
    if (mail.error !== undefined) return readFrames(mail.error.stack);
    if (state === STATE_DONE) return [];
    return this.#steps.findLast((step) => step.thread === t)?.frames ?? [];
  }

  #waiting(thread: ThreadRecord, t: number): string {
    const word = this.#places.name(thread.loc, 4);
    const until = thread.timeoutMs === null ? '' : ', with a time-out';
    const holds = thread.holds === null ? '' : `, it holds ${thread.holds}`;
    const who = this.#lastChange(thread.loc, t);
    return `waits for ${word} to differ from ${thread.expected}${until}${holds}${who}`;
  }

  #spinning(thread: ThreadRecord, t: number): string {
    if (thread.watched.length === 0) return 'spins without reading anything';
    const words = thread.watched.map((loc) => {
      const last = this.#steps.findLast((s) => s.thread === t && s.loc === loc && s.seen !== null);
      const holds = last === undefined ? '' : ` (= ${last.seen}${this.#lastChange(loc, t)})`;
      return `${this.#places.name(loc, last?.bytes ?? 4)}${holds}`;
    });
    return `spins on ${words.join(', ')}`;
  }

  /** `, left by b at step 7 (file:line)`; of a word that it left so itself, who did before. */
  #lastChange(loc: number, reader: number): string {
    const step = this.#changer(loc);
    if (step === undefined) return '';
    const when = (s: Step): string => `at step ${s.step}${this.#at(s)}`;
    if (step.thread !== reader) return `, left by ${this.#names[step.thread]} ${when(step)}`;
    const before = this.#changerBut(loc, reader);
    const after =
      before === undefined ? '' : `, after ${this.#names[before.thread]} ${when(before)}`;
    return `, left by itself ${when(step)}${after}`;
  }

  #at(step: Step): string {
    const [frame] = step.frames;
    return frame === undefined ? '' : ` (${shownPlace(frame)})`;
  }

  #changer(loc: number, after = -1): Step | undefined {
    return this.#steps.findLast((step) => step.step > after && step.loc === loc && changes(step));
  }

  /** Marks of those who wait for it do not make them a lock's holder. */
  #changerBut(loc: number, thread: number): Step | undefined {
    return this.#steps.findLast((s) => s.loc === loc && s.thread !== thread && changes(s));
  }

  #lostWakeUp(thread: ThreadRecord, t: number): string[] {
    if (thread.state !== STATE_BLOCKED || thread.timeoutMs !== null) return [];
    const { loc } = thread;
    const slept = this.#steps.findLast((s) => s.thread === t && s.kind === OP_WAIT)?.step ?? -1;
    const change = this.#changer(loc, slept);
    const changed = thread.holds !== null && thread.holds !== thread.expected;
    if (change === undefined && !changed) return [];
    const word = this.#places.name(loc, 4);
    const asleep = `${thread.name} sleeps since step ${slept}`;
    if (change === undefined) {
      const now = `${word} holds ${thread.holds} now, left by no Atomics operation`;
      return [`${asleep}: ${now}, and nobody notifies it`];
    }
    const heard = this.#steps.findLast(
      (s) => s.step > change.step && s.loc === loc && s.kind === OP_NOTIFY,
    );
    const who = this.#names[change.thread];
    const what = `${who} left ${word} = ${shown(change.left)} at step ${change.step}`;
    const then =
      heard === undefined
        ? 'no notify of it came after'
        : `the notify at step ${heard.step}${this.#at(heard)} woke others only`;
    return [`${asleep}: ${what}${this.#at(change)}, and ${then}`];
  }

  /** Sleepers whose notify came after they had looked, and before they slept. */
  #early(): string[] {
    return this.#failure.threads.flatMap((thread, t) => {
      if (thread.state !== STATE_BLOCKED) return [];
      const { loc } = thread;
      const slept = this.#steps.findLast((s) => s.thread === t && s.kind === OP_WAIT)?.step ?? -1;
      const looked = this.#steps.findLast((s) => s.thread === t && s.step < slept)?.step ?? -1;
      const notify = this.#steps.findLast((s) => s.loc === loc && s.kind === OP_NOTIFY);
      if (notify === undefined || notify.step > slept || notify.step < looked) return [];
      const who = this.#names[notify.thread];
      const word = this.#places.name(loc, 4);
      return [
        `${who} notified ${word} at step ${notify.step}${this.#at(notify)}, after ${thread.name} ` +
          `had looked (step ${looked}) and before it slept (step ${slept})`,
      ];
    });
  }

  /** Threads that are stuck on words which one of them left so, in a ring. */
  #ring(): string[] {
    const { threads } = this.#failure;
    const next = threads.map((thread, t) => {
      const locs =
        thread.state === STATE_BLOCKED
          ? [thread.loc]
          : thread.state === STATE_SPINNING
            ? thread.watched
            : [];
      const blamed = locs.map((loc) => this.#changerBut(loc, t)?.thread ?? -1);
      return blamed.find((u) => u >= 0 && threads[u]?.state !== STATE_DONE) ?? -1;
    });
    for (let start = 0; start < next.length; start++) {
      const ring = [start];
      let at = next[start] as number;
      while (at >= 0 && at !== start && !ring.includes(at)) {
        ring.push(at);
        at = next[at] as number;
      }
      if (at !== start) continue;
      const list = [...ring, start].map((t) => this.#names[t]);
      return [`each waits for the next: ${list.join(' -> ')}`];
    }
    return [];
  }
}

function shown(value: Value | null): string {
  return value === null ? '?' : String(value);
}
