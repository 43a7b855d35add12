// SPDX-License-Identifier: GPL-2.0-only
/** Progress of an exploration: a line redrawn on a terminal, a line now and then elsewhere. */
import { grouped } from '../harness/index.ts';
import type { ProgressTarget } from './progress.ts';

/** Lines elsewhere come so often. */
const LINE_MS = 2000;

export interface ExploreProgress {
  readonly executions: number;
  readonly steps: number;
  /** Part of the space that is done, of 1; 0 where the strategy does not say. */
  readonly fraction: number;
}

/** Shows how far an exploration is. */
export class ExploreMeter {
  readonly #target: ProgressTarget;
  readonly #startMs = Date.now();
  #lineAtMs = LINE_MS;
  #drawn = false;
  #before = { ms: 0, executions: 0, steps: 0 };

  constructor(target: ProgressTarget) {
    this.#target = target;
  }

  show({ executions, steps, fraction }: ExploreProgress): void {
    const ms = Date.now() - this.#startMs;
    if (!this.#target.live && ms < this.#lineAtMs) return;
    this.#lineAtMs += LINE_MS;
    const seconds = Math.max(ms - this.#before.ms, 1) / 1000;
    const rate = grouped(Math.max(executions - this.#before.executions, 0) / seconds);
    const stepRate = grouped(Math.max(steps - this.#before.steps, 0) / seconds);
    const done = fraction === 0 ? '' : `, about ${(100 * fraction).toFixed(1)} % of the space`;
    const line =
      `${(ms / 1000).toFixed(1)} s: ${grouped(executions)} executions${done}, ` +
      `${rate}/s, ${stepRate} steps/s`;
    this.#target.stream.write(this.#target.live ? `\r\x1b[K${line}` : `${line}\n`);
    this.#drawn = this.#target.live;
    this.#before = { ms, executions, steps };
  }

  /** Takes the live line away. */
  end(): void {
    if (this.#drawn) this.#target.stream.write('\r\x1b[K');
    this.#drawn = false;
  }
}
