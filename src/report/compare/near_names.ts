// SPDX-License-Identifier: GPL-2.0-only
/** Names that somebody may have meant. */

/** Names given. */
const NEAR_MAX = 3;

/** Letters to insert, remove or change to get from one name to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}

/** @param name of which 80 letters are looked at @returns the nearest names, nearest first */
export function nearNames(name: string, known: readonly string[]): string[] {
  const text = name.slice(0, 80).toLowerCase();
  const limit = Math.max(2, Math.floor(text.length / 3));
  return [...new Set(known)]
    .map((candidate) => {
      const lower = candidate.toLowerCase();
      const part = text.length >= 3 && (lower.includes(text) || text.includes(lower));
      return { candidate, far: part ? 1 : distance(text, lower) };
    })
    .filter(({ far }) => far <= limit)
    .sort((x, y) => x.far - y.far)
    .slice(0, NEAR_MAX)
    .map(({ candidate }) => candidate);
}
