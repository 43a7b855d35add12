// SPDX-License-Identifier: GPL-2.0-only
// A program of library.mjs. Every worker loads this file by its URL, so it stands alone. It is
// synchronous: it runs on a simulated CPU, where nothing else does.

/** A cache: reads hot entries often, walks over all of them now and then. */
export function refreshCache(process, { first, pages, rounds }) {
  for (let round = 0; round < rounds; round++) {
    const hot = round % 10 !== 0;
    for (let i = 0; i < pages; i += hot ? 8 : 1) {
      const ended = hot ? process.load(first + i) : process.store(first + i);
      // Told to stop, or killed by the OOM killer: what the call returned says which.
      if (ended !== 0) return ended;
    }
  }
  return 0;
}
