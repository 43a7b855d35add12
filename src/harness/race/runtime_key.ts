// SPDX-License-Identifier: MIT
/** Where instrumented modules find the runtime of the race detector: a registered symbol's key. */
export const RUNTIME_KEY = 'kreclaim.race';
