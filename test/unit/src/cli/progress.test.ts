// SPDX-License-Identifier: GPL-2.0-only
/** The progress line: a line a second, or redrawn in place on a terminal. */
import { describe, expect, it } from 'vitest';
import { Progress, type ProgressTarget } from '../../../../dist/src/cli/progress.js';

const NAMES = ['pgscan_kswapd', 'pgscan_direct', 'memcg_pgscan_direct', 'pgsteal_kswapd'];
const MORE = ['pgsteal_direct', 'memcg_pgsteal_direct', 'pswpin', 'pswpout'];

function sample(timeMs: number, events: number) {
  const rest = Object.fromEntries([...NAMES, ...MORE].map((name) => [name, timeMs]));
  return { time_ms: timeMs, events, nr_free_pages: 100, ...rest };
}

function capture(live: boolean, color: boolean): { target: ProgressTarget; writes: string[] } {
  const writes: string[] = [];
  const stream = { write: (text: string) => writes.push(text) } as unknown as NodeJS.WriteStream;
  return { target: { stream, live, color }, writes };
}

describe('progress', () => {
  it('is a line a second where nobody watches, with rates since the line before', () => {
    const { target, writes } = capture(false, false);
    const progress = new Progress(target, 10_000);
    for (let ms = 0; ms <= 3000; ms += 250) progress.show(sample(ms, ms * 2));
    progress.end();
    expect(writes).toHaveLength(3);
    expect(writes[1]).toBe(
      '2.0 s 40 %: 2,000 events/s, free 100, scan 3,000/s, steal 3,000/s, ' +
        'swap in 1,000/s out 1,000/s\n',
    );
  });

  it('redraws in place on a terminal, and takes itself away', () => {
    const { target, writes } = capture(true, false);
    const progress = new Progress(target, 0);
    for (const ms of [0, 250, 500]) progress.show(sample(ms, ms));
    progress.end();
    expect(writes.filter((text) => text === '\x1b[3A\x1b[J')).toHaveLength(2);
    expect(writes.join('')).not.toContain('\x1b[1m');
    expect(writes.at(-2)?.split('\n')).toHaveLength(4);
  });

  it('is coloured only where that was asked for', () => {
    const { target, writes } = capture(true, true);
    const progress = new Progress(target, 0);
    for (const ms of [0, 250]) progress.show(sample(ms, ms));
    expect(writes.join('')).toContain('\x1b[1m');
  });
});
