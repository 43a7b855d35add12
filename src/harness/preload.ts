// SPDX-License-Identifier: MIT
/** Loaded into a worker before anything else: from here on its `Atomics`, time and chance are ours. */
import { patchAtomics } from './patch.ts';
import { patchTime } from './patch_time.ts';

patchAtomics();
patchTime();
