// SPDX-License-Identifier: MIT
/** Loaded into a torture thread before anything else where delays are asked for. */
import { patchDelays } from './torture_delays.ts';

patchDelays();
