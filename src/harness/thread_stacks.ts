// SPDX-License-Identifier: MIT
/**
 * Where threads are right now, from outside: their stacks, taken through the inspector. It reaches
 * a worker that computes without end, and one that sleeps in `Atomics.wait`, neither of which hears
 * a message. For reports of hangs: the threads are stopped for a moment, and go on.
 */
import { Session } from 'node:inspector';
import { scheduler } from 'node:timers/promises';

/** Frames kept of each stack. */
const FRAMES_MAX = 12;

const ENABLE = 1;
const PAUSE = 2;
const DISABLE = 3;

interface CallFrame {
  readonly functionName: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
}

interface WorkerMessage {
  readonly id?: number;
  readonly method?: string;
  readonly params?: {
    readonly callFrames?: readonly CallFrame[];
    readonly scriptId?: string;
    readonly url?: string;
  };
}

/** The harness's own modules: their frames say nothing of the code under test. */
const HARNESS = new URL('./', import.meta.url).href;

/** @param urls where each script is from */
function stackText(frames: readonly CallFrame[], urls: ReadonlyMap<string, string>): string {
  const placed = frames.map((frame) => ({
    ...frame,
    url: urls.get(frame.location.scriptId) ?? '',
  }));
  const known = placed.filter(({ url }) => !url.startsWith('node:'));
  const own = known.filter(({ url }) => !url.startsWith(HARNESS));
  return (own.length > 0 ? own : known)
    .slice(0, FRAMES_MAX)
    .map(({ functionName, url, location }) => {
      const at = `${url}:${location.lineNumber + 1}:${location.columnNumber + 1}`;
      return functionName === '' ? `    at ${at}` : `    at ${functionName} (${at})`;
    })
    .join('\n');
}

/** A conversation with the threads of one process. */
class StackSession {
  readonly #session = new Session();
  readonly #wanted: ReadonlySet<number>;
  readonly #threadOf = new Map<string, number>();
  readonly #disabled = new Set<string>();
  readonly #urls = new Map<string, Map<string, string>>();
  readonly stacks = new Map<number, string>();

  constructor(threadIds: readonly number[]) {
    this.#wanted = new Set(threadIds);
    this.#session.on('NodeWorker.attachedToWorker', ({ params }) => {
      const threadId = Number(/\d+/.exec(params.workerInfo.title)?.[0]);
      if (!this.#wanted.has(threadId)) return;
      this.#threadOf.set(params.sessionId, threadId);
      this.#urls.set(params.sessionId, new Map());
      this.#send(params.sessionId, ENABLE, 'Debugger.enable');
      this.#send(params.sessionId, PAUSE, 'Debugger.pause');
    });
    this.#session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
      this.#receive(params.sessionId, JSON.parse(params.message) as WorkerMessage);
    });
  }

  get done(): boolean {
    return this.stacks.size === this.#wanted.size;
  }

  /** Every thread that was stopped goes on: before that, its worker could not be ended. */
  get over(): boolean {
    return this.#disabled.size === this.#threadOf.size;
  }

  start(): void {
    this.#session.connect();
    this.#session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  }

  release(): void {
    for (const sessionId of this.#threadOf.keys()) {
      this.#send(sessionId, DISABLE, 'Debugger.disable');
    }
  }

  end(): void {
    this.#session.disconnect();
  }

  #send(sessionId: string, id: number, method: string): void {
    const message = JSON.stringify({ id, method, params: {} });
    this.#session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
  }

  #receive(sessionId: string, message: WorkerMessage): void {
    const threadId = this.#threadOf.get(sessionId);
    if (threadId === undefined) return;
    const urls = this.#urls.get(sessionId) as Map<string, string>;
    if (message.id === DISABLE) this.#disabled.add(sessionId);
    const { callFrames = [], scriptId = '', url = '' } = message.params ?? {};
    if (message.method === 'Debugger.scriptParsed') urls.set(scriptId, url);
    if (message.method === 'Debugger.paused')
      this.stacks.set(threadId, stackText(callFrames, urls));
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  for (let ms = 0; ms < timeoutMs && !condition(); ms += 5) await scheduler.wait(5);
}

/**
 * The stacks of workers.
 * @param threadIds `threadId` of each worker @param timeoutMs bound on the whole
 * @returns stack by thread id; a thread that did not answer in time is missing
 * @context main thread, free to handle events
 */
export async function threadStacks(
  threadIds: readonly number[],
  timeoutMs = 2000,
): Promise<ReadonlyMap<number, string>> {
  const session = new StackSession(threadIds);
  try {
    session.start();
    await until(() => session.done, timeoutMs);
    session.release();
    await until(() => session.over, timeoutMs);
    session.end();
  } catch {
    // No inspector in this build, or one is attached: a report without stacks is a report.
  }
  return session.stacks;
}
