// SPDX-License-Identifier: MIT
/** Strategies by name, as they travel to the lead. */
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
  | { readonly kind: 'round-robin' }
  | {
      readonly kind: 'replay';
      readonly schedule: readonly number[];
      readonly seed: number;
      readonly times?: number;
    };

export function makeStrategy(spec: StrategySpec): Strategy {
  switch (spec.kind) {
    case 'random':
      return new RandomStrategy(spec.seed, spec.switchChance ?? 1);
    case 'pct':
      return new PctStrategy(spec.seed, spec.depth);
    case 'round-robin':
      return new RoundRobinStrategy();
    case 'replay':
      return new ReplayStrategy(spec.schedule, spec.seed, spec.times ?? 1);
  }
}
