// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench harness`: what the deterministic scheduler costs, between real workers.
 *
 * Groups. `decisions`: two threads that only store, so that a step is a scheduling decision and
 * next to nothing else; `kept` leaves the baton where it is, `passed` gives it away at every step,
 * `even` does either with the same chance, as the random strategy does. `executions`: a test of
 * eight operations in two threads, whole: memory put back, run, checked.
 *
 * `race detection`: loops of plain accesses by one thread, with detection and without; plain
 * accesses are no scheduling points. Goal: at most 5 x.
 *
 * Goals: 1 M decisions a second in all, 20,000 executions a second with reused workers.
 */
import { pathToFileURL } from 'node:url';
import { Explorer, type ExplorerOptions } from '../src/harness/explorer.ts';
import type { StrategySpec } from '../src/harness/make_strategy.ts';
import type { RunResult, RunSettings } from '../src/harness/messages.ts';
import {
  type BenchCase,
  type BenchGroup,
  type BenchOptions,
  type BenchRow,
  formatRows,
  runBench,
  wantsGroup,
} from './bench_runner.ts';
import { ELEMENTS, PASSES } from './harness_plain.ts';

const SETTINGS: Omit<RunSettings, 'strategy'> = {
  executions: Infinity,
  ms: 200,
  steps: 1_000_000,
  tickNs: 100,
  timeouts: 0,
  spinThreshold: 4,
  gateSpins: 3000,
  boundFails: true,
  trace: false,
  keepGoing: false,
};

type Figure = (result: RunResult) => number;

const decisions: Figure = ({ steps, wallMs }) => (steps / wallMs) * 1e3;
const accesses: Figure = (result) => executions(result) * ELEMENTS * PASSES;

const executions: Figure = (result) => (result.executions / result.wallMs) * 1e3;

/** One case: its explorer is opened on first use and kept for all rounds. */
class HarnessCase {
  #explorer: Promise<Explorer> | null = null;
  readonly #file: string;
  readonly #settings: RunSettings;
  readonly #figure: Figure;
  readonly #options: ExplorerOptions;

  constructor(
    file: string,
    strategy: StrategySpec,
    figure: Figure,
    ms: number,
    options: ExplorerOptions = {},
  ) {
    this.#file = file;
    this.#settings = { ...SETTINGS, ms, strategy };
    this.#figure = figure;
    this.#options = options;
  }

  async run(): Promise<number> {
    this.#explorer ??= Explorer.open(new URL(`./${this.#file}`, import.meta.url), {
      capacity: 1 << 10,
      ...this.#options,
    });
    const result = await (await this.#explorer).run(this.#settings);
    if (result.failure !== null) throw new Error(`the test failed: ${result.failure.message}`);
    return this.#figure(result);
  }

  async close(): Promise<void> {
    await (await this.#explorer)?.close();
  }
}

/**
 * Measures the harness.
 * @returns one row per case, groups in order
 * @context the main thread; starts its own workers and ends them
 */
export async function harnessBench(options: BenchOptions = {}): Promise<BenchRow[]> {
  const { quick = false, notice = () => {} } = options;
  const rounds = quick ? 1 : (options.rounds ?? 7);
  const ms = quick ? 20 : 300;
  const opened: HarnessCase[] = [];
  const one = (name: string, file: string, spec: StrategySpec, figure: Figure): BenchCase => {
    const harness = new HarnessCase(`${file}.js`, spec, figure, ms);
    opened.push(harness);
    return { name, threads: 2, run: () => harness.run() };
  };
  const random: StrategySpec = { kind: 'random', seed: 1 };
  /** A loop without detection, and with it. */
  const loop = (name: string, kind: string): BenchCase[] =>
    [false, true].map((race) => {
      const file = `harness_plain.js?kind=${kind}`;
      const harness = new HarnessCase(file, random, accesses, ms, { race, plainPoints: false });
      opened.push(harness);
      const run = (): Promise<number> => harness.run();
      return race
        ? { name: `${name}, races`, threads: 1, peer: name, run }
        : { name, threads: 1, run };
    });
  const groups: BenchGroup[] = [
    {
      name: 'harness: decisions',
      cases: [
        one('kept', 'harness_ops', { ...random, switchChance: 1e-5 }, decisions),
        one('passed', 'harness_ops', { kind: 'round-robin', times: Infinity }, decisions),
        one('even', 'harness_ops', random, decisions),
      ],
    },
    {
      name: 'harness: executions',
      cases: [
        one('8 steps, random', 'harness_short', random, executions),
        one('8 steps, pct', 'harness_short', { kind: 'pct', seed: 1, depth: 3 }, executions),
      ],
    },
    {
      name: 'harness: race detection',
      cases: [
        ...loop('sum', 'sum'),
        ...loop('fill', 'fill'),
        ...loop('sum of floats', 'floats'),
        ...loop('sum, first touch', 'sum&touch'),
        ...loop('fill, first touch', 'fill&touch'),
      ],
    },
  ];
  try {
    return await runBench(
      groups.filter(({ name }) => wantsGroup(name, options)),
      {
        rounds,
        signal: options.signal,
        onRound: (group, round) => notice(`${group}: round ${round}/${rounds}`),
      },
    );
  } finally {
    for (const harness of opened) await harness.close();
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const quick = process.argv.includes('--quick');
  const notice = (line: string) => console.error(line);
  console.log(formatRows(await harnessBench({ quick, notice })));
}
