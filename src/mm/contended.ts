// SPDX-License-Identifier: GPL-2.0-only
/**
 * What reclaim does with a folio whose rmap lock somebody else has.
 *
 *   head            back to the head of its list: the kernel since 6d4675e60135
 *   tail            back to the tail, to be looked at again at once: what a reviewer proposed
 *   origin          back where it came from, the tail, a few times; then the head
 *   prio            as head; once little is found (priority below 3) reclaim waits for the lock
 *   kshrinkd        to a thread of the node that waits for the lock: seed 000
 *   kshrinkd-fixed  the same, bounded, accounted, and the thread waits for no lock with a folio
 */
export const CONTENDED_POLICIES = [
  'head',
  'tail',
  'kshrinkd',
  'kshrinkd-fixed',
  'prio',
  'origin',
] as const;

export type ContendedPolicy = (typeof CONTENDED_POLICIES)[number];

/** The policies by number: one compares faster than a word of the configuration. */
export const CONTENDED_HEAD = 0;
export const CONTENDED_TAIL = 1;
export const CONTENDED_KSHRINKD = 2;
export const CONTENDED_KSHRINKD_FIXED = 3;
export const CONTENDED_PRIO = 4;
export const CONTENDED_ORIGIN = 5;

/** @returns the policy's CONTENDED_* */
export function contendedPolicy(policy: ContendedPolicy): number {
  return CONTENDED_POLICIES.indexOf(policy);
}

/** Does the policy bring its threads? */
export function policyHasKshrinkd(policy: ContendedPolicy): boolean {
  return policy === 'kshrinkd' || policy === 'kshrinkd-fixed';
}

/**
 * What is wrong with the seed's version as posted and breaks a machine, one by one.
 *   stop-hang       the thread waits for folios, not for being told to stop
 *   stop-leak       it stops with folios queued, and more may be queued afterwards
 *   isolated-lost   queued folios are not counted as isolated
 *   uninit-node     list and lock of a node that comes online are not initialised
 *   early-publish   a node queues folios although its thread could not be started
 */
export const KSHRINKD_BUGS = [
  'stop-hang',
  'stop-leak',
  'isolated-lost',
  'uninit-node',
  'early-publish',
] as const;

export type KshrinkdBug = (typeof KSHRINKD_BUGS)[number];
