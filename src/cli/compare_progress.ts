// SPDX-License-Identifier: GPL-2.0-only
/** How far a comparison is: one line redrawn on a terminal, a line for each run elsewhere. */
import { ktimeNs } from '../../shared/ktime.ts';
import type { CompareRun } from '../report/compare/compare_report.ts';
import { type ProgressTarget, progressTarget } from './progress.ts';

export class CompareProgress {
  readonly #total: number;
  readonly #target: ProgressTarget = progressTarget();
  readonly #startNs = ktimeNs();

  /** @param total runs */
  constructor(total: number) {
    this.#total = total;
    if (this.#target.live) this.#target.stream.write(`run 1 of ${total}`);
  }

  show(run: CompareRun, done: number): void {
    const { stream, live } = this.#target;
    const { side, pair, status, wallMs } = run;
    const took = wallMs === null ? '' : `, ${(wallMs / 1000).toFixed(2)} s`;
    const how = status === 'complete' ? took : `, ${status}`;
    const leftSec = (((ktimeNs() - this.#startNs) / done) * (this.#total - done)) / 1e9;
    const left = done < this.#total ? `; ${leftSec.toFixed(0)} s to go` : '';
    const line = `${done} of ${this.#total}: ${side.toUpperCase()} ${pair}${how}${left}`;
    stream.write(live ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Takes the live line away. */
  end(): void {
    if (this.#target.live) this.#target.stream.write('\r\x1b[K');
  }
}
