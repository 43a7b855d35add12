// SPDX-License-Identifier: MIT
/**
 * A worker of the harness: one thread of a scenario, for as many executions as are asked for.
 *
 *   load the scenario -> (lead: setup, tell main) -> bind to the control block
 *   -> others: serve executions at their gate until it says QUIT
 *   -> lead: run commands of the main thread
 */
import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { parentPort, workerData } from 'node:worker_threads';
import { passGate } from './baton.ts';
import { Control, GATE_QUIT, H_GATE_SPINS, H_SEED } from './control.ts';
import { ScenarioError } from './errors.ts';
import { type History, Recorder } from './history.ts';
import { leadRun } from './lead.ts';
import { addressSpan, registerBuffers } from './locate.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { OP_CALL, OP_RETURN } from './ops.ts';
import { seedChance, seededRandom } from './patch_time.ts';
import { needsHooks } from './race/hooks_needed.ts';
import type { RaceBuffers } from './race/race_memory.ts';
import { bindRuntime, point, runThread, runtime, setInvariant, stepNow } from './runtime.ts';
import { mustHold, readScenario, type Scenario, type ThreadContext } from './scenario.ts';
import { readFrames } from './stack_frames.ts';
import { collectBuffers, Snapshot } from './state.ts';

const start = workerData as WorkerStart;
const port = parentPort as NonNullable<typeof parentPort>;

// Node counts the workers of a process; code that goes by that number would do something else in
// every run.
(workerThreads as { threadId: number }).threadId = start.thread + 1;
syncBuiltinESMExports();

function tell(message: FromWorker): void {
  port.postMessage(message);
}

/** One line that says why a scenario does not load. */
function loadFailure(error: unknown, file: string): string {
  if (error instanceof ScenarioError) return error.message;
  const { name, message, stack } = error as Error;
  const line = message.split('\n')[0];
  // It says itself where it is.
  if (name === 'SourceError') return `${file}: does not load: ${line}`;
  const frame = readFrames(stack ?? '')[0];
  const at = frame === undefined ? file : `${frame.file}:${frame.line}:${frame.column}`;
  return `${at}: does not load: ${name}: ${line}`;
}

/** Race detection, where it was asked for: else none of it is loaded. */
let detection: typeof import('./race/race_thread.ts') | null = null;

async function loadScenario(): Promise<Scenario> {
  const { race, include, url } = start;
  if (race) {
    detection = await import('./race/race_thread.ts');
    detection.installRace();
  }
  if (needsHooks(url, start)) {
    await (await import('./race/hooks.ts')).installHooks({ race, include });
  }
  const module = (await import(start.url)) as Record<string, unknown>;
  return readScenario(module, fileOf(start.url), start.threadsMax);
}

function fileOf(url: string): string {
  return url.startsWith('file://') ? decodeURIComponent(new URL(url).pathname) : url;
}

/** The memory of a race detector for the state's buffers. @throws ScenarioError */
function raceBuffers(state: unknown, threads: number): RaceBuffers | null {
  if (detection === null) return null;
  registerBuffers(collectBuffers(state).shared);
  try {
    return detection.createRaceBuffers(addressSpan(), threads);
  } catch (error) {
    throw new ScenarioError(`${fileOf(start.url)}: ${(error as Error).message}`);
  }
}

/** The lead's part of loading: runs `setup` and shares what it made. */
function announce(scenario: Scenario): void {
  const file = fileOf(start.url);
  let state: unknown;
  try {
    state = scenario.setup === null ? {} : scenario.setup();
  } catch (error) {
    throw new ScenarioError(`${file}: setup threw: ${(error as Error).message}`);
  }
  if (state instanceof Promise) throw new ScenarioError(`${file}: setup is async`);
  const names = scenario.threads.map((thread) => thread.name);
  const race = raceBuffers(state, names.length);
  try {
    tell({ type: 'scenario', names, state, race, options: scenario.options });
  } catch (error) {
    const reason = (error as Error).message;
    throw new ScenarioError(`${file}: what setup returned cannot be sent to a thread: ${reason}`);
  }
}

function contextOf(thread: number, threads: number, recorder: Recorder): ThreadContext {
  return {
    id: thread,
    threads,
    random: seededRandom,
    record(operation, argument, fn) {
      point(OP_CALL, -1, 0);
      return recorder.record(operation, argument, () => {
        const result = fn();
        point(OP_RETURN, -1, 0);
        return result;
      });
    },
  };
}

function bind(scenario: Scenario, message: Extract<ToWorker, { type: 'bind' }>): void {
  const control = new Control(message.control);
  const { thread } = start;
  const { state } = message;
  const { shared, own } = collectBuffers(state);
  registerBuffers(shared);
  const scheduler = bindRuntime(control, thread);
  if (detection !== null && message.race !== null) {
    runtime.race = detection.startRace(message.race, thread, start.plainPoints);
  }
  const { fn } = scenario.threads[thread] as Scenario['threads'][number];
  const recorder = new Recorder(thread, stepNow);
  const context = contextOf(thread, control.threads, recorder);
  const ownBytes = own.length > 0 ? new Snapshot(own) : null;
  const { invariant } = scenario;
  if (invariant !== null) setInvariant(() => mustHold('invariant', () => invariant(state)));
  const body = (): unknown => fn(state, context);
  const history = (): History | undefined => {
    return recorder.operations.length > 0 ? recorder.operations : undefined;
  };
  const runOwn = (gate: number): boolean => {
    recorder.clear();
    ownBytes?.restore();
    seedChance(control.words[H_SEED] as number, thread);
    return runThread(gate, body, history);
  };
  tell({ type: 'bound' });
  if (thread > 0) {
    serve(control, runOwn);
    return;
  }
  const bytes = new Snapshot(shared);
  const { check } = scenario;
  const parts = {
    control,
    scheduler,
    names: message.names,
    buffers: shared,
    restore: () => bytes.restore(),
    runOwn,
    race: detection?.leadRace() ?? null,
    check:
      check === null
        ? null
        : (results: readonly unknown[], histories: readonly unknown[]) =>
            mustHold('check', () => check(state, results, histories)),
    watched: invariant !== null,
  };
  port.on('message', (next: ToWorker) => {
    if (next.type === 'run') tell({ type: 'result', result: leadRun(parts, next.settings) });
  });
}

/** Runs executions until told to go. The worker's event loop never turns here. */
function serve(control: Control, runOwn: (gate: number) => boolean): void {
  for (;;) {
    const gate = passGate(control.words, start.thread, control.words[H_GATE_SPINS] as number);
    if (gate === GATE_QUIT) break;
    runOwn(gate);
  }
  port.close();
}

try {
  const scenario = await loadScenario();
  port.once('message', (message: ToWorker) => {
    if (message.type === 'bind') bind(scenario, message);
  });
  if (start.thread === 0) announce(scenario);
  tell({ type: 'loaded' });
} catch (error) {
  tell({ type: 'bad', message: loadFailure(error, fileOf(start.url)) });
  port.close();
}
