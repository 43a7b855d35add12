// SPDX-License-Identifier: MIT
/** Strategies by name, as they travel to the lead. */
import { DfsStrategy } from './dfs.ts';
import { MixStrategy } from './mix_strategy.ts';
import type { Runs } from './schedule.ts';
import { ShrinkStrategy } from './shrink.ts';
import {
  PctStrategy,
  RandomStrategy,
  ReplayStrategy,
  RoundRobinStrategy,
  type Strategy,
} from './strategy.ts';

export type StrategySpec =
  | { readonly kind: 'random'; readonly seed: number; readonly switchChance?: number }
  | { readonly kind: 'pct'; readonly seed: number; readonly depth: number }
  | { readonly kind: 'round-robin'; readonly times?: number }
  | { readonly kind: 'mix'; readonly parts: readonly StrategySpec[] }
  | {
      readonly kind: 'dfs';
      readonly seed: number;
      /** null for no bound */
      readonly preemptions: number | null;
      readonly reduction: boolean;
    }
  | { readonly kind: 'shrink'; readonly runs: Runs; readonly seed: number }
  | {
      readonly kind: 'replay';
      readonly schedule: readonly number[];
      readonly seed: number;
      readonly times?: number;
    };

/**
 * Makes a strategy from its description.
 * @param watched memory is looked at between the steps @context the lead
 */
export function makeStrategy(spec: StrategySpec, watched = false): Strategy {
  switch (spec.kind) {
    case 'random':
      return new RandomStrategy(spec.seed, spec.switchChance ?? 1);
    case 'pct':
      return new PctStrategy(spec.seed, spec.depth);
    case 'round-robin':
      return new RoundRobinStrategy(spec.times ?? 1);
    case 'mix':
      return new MixStrategy(spec.parts.map((part) => makeStrategy(part, watched)));
    case 'dfs':
      return new DfsStrategy({ ...spec, preemptions: spec.preemptions ?? Infinity, watched });
    case 'shrink':
      return new ShrinkStrategy(spec.runs, spec.seed);
    case 'replay':
      return new ReplayStrategy(spec.schedule, spec.seed, spec.times ?? 1);
  }
}
