// SPDX-License-Identifier: MIT
/**
 * Races and uses after free in words: both accesses with their thread, step and line.
 */
import { fileURLToPath } from 'node:url';
import { describeAddress } from '../locate.ts';
import { OP_NAMES } from '../ops.ts';
import type { RawUse } from './poison.ts';
import { probe } from './probe.ts';
import { type RacyAccess, type RawRace, SITE_MASK } from './race_list.ts';
import { type AccessReport, accessPlace, type RaceReport } from './race_text.ts';

/** A data race that is not meant. */
export class DataRaceError extends Error {
  override readonly name = 'DataRaceError';
  readonly race: RaceReport;

  constructor(race: RaceReport) {
    super(race.message);
    this.race = race;
  }
}

/** Memory was used after it was given back. */
export class UseAfterFreeError extends Error {
  override readonly name = 'UseAfterFreeError';
}

const ATOMIC_NAMES: Readonly<Record<string, string>> = {
  load: 'atomic load',
  store: 'atomic write',
  rmw: 'atomic read-modify-write',
  compareExchange: 'atomic compareExchange',
  wait: 'Atomics.wait',
};

function accessReport(access: RacyAccess): AccessReport {
  const { file, line, column } = probe.names?.placeOf(access.site & SITE_MASK) ?? {
    file: '',
    line: 0,
    column: 0,
  };
  const kind = OP_NAMES[access.kind] ?? 'access';
  return {
    file: file.startsWith('file:') ? fileURLToPath(file) : file,
    line,
    column,
    thread: access.thread,
    step: probe.detector?.memory.stepOf(access.clock) ?? 0,
    kind: ATOMIC_NAMES[kind] ?? kind,
  };
}

function accessText(access: AccessReport): string {
  const { kind, thread, step } = access;
  return `${kind} by thread ${thread} at ${accessPlace(access)} (step ${step})`;
}

function whereText(address: number, bytes: number): string {
  const found = describeAddress(address);
  const range = (at: number): string =>
    bytes === 1 ? `byte ${at}` : `bytes ${at}..${at + bytes - 1}`;
  return found === null ? `address ${address}` : `buffer ${found.buffer}, ${range(found.offset)}`;
}

/** @returns a race in words */
export function raceReport(race: RawRace): RaceReport {
  const first = accessReport(race.first);
  const second = accessReport(race.second);
  const where = whereText(race.address, race.bytes);
  return {
    message: `data race on ${where}: ${accessText(second)}, ${accessText(first)}`,
    first,
    second,
    address: race.address,
    bytes: race.bytes,
    times: race.times,
    reason: race.reason === 0 ? null : (probe.names?.reasonText(race.reason) ?? ''),
  };
}

/** Races of this execution so far, in the order in which they were found, meant ones included. */
export function raceReports(): RaceReport[] {
  return probe.detector?.races.all().map(raceReport) ?? [];
}

/** @returns a use after free in words */
export function useReport(use: RawUse): string {
  const freed = accessReport({ ...use.freed, kind: 0 });
  const used = accessReport({ ...use.used, kind: use.kind });
  const verb = used.kind === 'write' ? 'written' : used.kind === 'read' ? 'read' : used.kind;
  return (
    `use after free on ${whereText(use.address, 1)}: ` +
    `freed at ${accessPlace(freed)} by thread ${freed.thread} (step ${freed.step}), ` +
    `${verb} at ${accessPlace(used)} by thread ${used.thread} (step ${used.step})`
  );
}
