// SPDX-License-Identifier: MIT
/**
 * Where a litmus test comes from, and what the main thread has to know of it. Files are loaded in
 * workers only: there the module hooks that strip types may be installed, and a module that does
 * something else than to define tests does it where it can be ended.
 */
import { fileURLToPath } from 'node:url';
import { modelOutcomes } from './litmus_model.ts';
import { ScUnsupportedError, scOutcomes } from './litmus_sc.ts';
import {
  type AnyLitmusTest,
  checkLitmusTest,
  LitmusUsageError,
  litmusOfModule,
} from './litmus_test.ts';
import { needsHooks } from './race/hooks_needed.ts';
import { shownPath } from './stack_frames.ts';

/** A definition on its way to a worker: functions as text. */
export interface LitmusSource {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly threads: readonly string[];
  readonly observe: string | null;
  readonly view: string | null;
}

/** Module and name of a test, or its text. */
export interface LitmusPlace {
  readonly url: string | null;
  readonly which: string | null;
  readonly source: LitmusSource | null;
}

/** A test without its functions. */
export interface LitmusShape {
  readonly name: string;
  readonly question: string;
  readonly threads: number;
  readonly cells: number;
  readonly registers: number;
  readonly batch: number | undefined;
  readonly allowed: readonly string[];
  readonly interesting: readonly string[];
  readonly forbidden: readonly string[];
}

/** @returns the definition as text @throws LitmusUsageError when it is none */
export function sourceOf(test: AnyLitmusTest): LitmusSource {
  checkLitmusTest(test);
  const { threads, observe, view, ...settings } = test;
  return {
    settings,
    threads: threads.map(String),
    observe: observe === undefined ? null : String(observe),
    view: view === undefined ? null : String(view),
  };
}

function compile(text: string): unknown {
  return new Function(`'use strict'; return (${text});`)() as unknown;
}

function ofSource(source: LitmusSource): AnyLitmusTest {
  const { settings, threads, observe, view } = source;
  return {
    ...settings,
    threads: threads.map(compile),
    ...(observe === null ? {} : { observe: compile(observe) }),
    ...(view === null ? {} : { view: compile(view) }),
  } as AnyLitmusTest;
}

/** Imports a test's module. @throws LitmusUsageError when it does not load @context a worker */
export async function importLitmus(url: string): Promise<Record<string, unknown>> {
  const file = shownPath(fileURLToPath(url));
  try {
    if (needsHooks(url, { race: false })) {
      await (await import('./race/hooks.ts')).installHooks({ race: false, include: [] });
    }
    return (await import(url)) as Record<string, unknown>;
  } catch (error) {
    const reason = String((error as Error).message).split('\n')[0];
    throw new LitmusUsageError(`${file}: does not load: ${reason}`);
  }
}

/** @throws LitmusUsageError @context a worker */
export async function loadLitmus(place: LitmusPlace): Promise<AnyLitmusTest> {
  if (place.source !== null) return ofSource(place.source);
  const url = place.url as string;
  const module = await importLitmus(url);
  return litmusOfModule(module, shownPath(fileURLToPath(url)), place.which ?? undefined);
}

/** What the model says, as listed or as found. */
interface Judged {
  readonly allowed: readonly string[];
  readonly interesting: readonly string[];
}

/**
 * Where all accesses are atomic, the sequentially consistent outcomes; else what the model allows
 * (litmus_model.ts), and of that, what no interleaving gives is interesting.
 */
function judge(test: AnyLitmusTest): Judged {
  const { allowed, interesting = [] } = test;
  if (allowed !== undefined) return { allowed, interesting };
  try {
    const { outcomes, plain } = scOutcomes(test);
    if (!plain) return { allowed: outcomes, interesting };
    const found = modelOutcomes(test);
    const unlike = found.filter((outcome) => !outcomes.includes(outcome));
    return { allowed: found, interesting: test.interesting ?? unlike };
  } catch (error) {
    if (!(error instanceof ScUnsupportedError)) throw error;
    throw new LitmusUsageError(
      `${test.name ?? 'the test'}: list what is allowed: ${error.message}`,
    );
  }
}

/** @throws LitmusUsageError for a test that cannot be run */
export function shapeOf(test: AnyLitmusTest): LitmusShape {
  checkLitmusTest(test);
  const { name = 'litmus', question = '', cells = 2, registers = 2, batch, forbidden = [] } = test;
  const threads = test.threads.length;
  return { name, question, threads, cells, registers, batch, forbidden, ...judge(test) };
}
