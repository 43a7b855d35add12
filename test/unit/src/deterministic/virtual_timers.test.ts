// SPDX-License-Identifier: GPL-2.0-only
/** Timers by virtual time: order, repetition, clearing, and that nothing fires by itself. */
import { describe, expect, it } from 'vitest';
import { VirtualTimers } from '../../../../dist/src/deterministic/virtual_timers.js';

const turn = () => Promise.resolve();

function clocked() {
  const clock = { ms: 0 };
  const timers = new VirtualTimers(() => clock.ms);
  const log: string[] = [];
  const say = (text: unknown) => {
    log.push(`${clock.ms}:${String(text)}`);
  };
  /** Lets time come to `ms`, from deadline to deadline. */
  const advance = async (ms: number) => {
    while (timers.nextMs() <= ms) {
      clock.ms = Math.max(clock.ms, timers.nextMs());
      await timers.fireDue(turn);
    }
    clock.ms = ms;
  };
  return { clock, timers, log, say, advance };
}

describe('virtual timers', () => {
  it('fire in the order of deadlines, then of creation', async () => {
    const { timers, log, say, advance } = clocked();
    timers.setTimeout(say, 20, 'c');
    timers.setTimeout(say, 10, 'a');
    timers.setTimeout(say, 10, 'b');
    expect(timers.nextMs()).toBe(10);
    await advance(9);
    expect(log).toEqual([]);
    await advance(30);
    expect(log).toEqual(['10:a', '10:b', '20:c']);
    expect(timers.nextMs()).toBe(Infinity);
  });

  it('repeat until they are cleared, from within too', async () => {
    const { timers, log, say, advance } = clocked();
    const every = timers.setInterval(() => {
      say('tick');
      if (log.length === 3) timers.clear(every);
    }, 5);
    await advance(100);
    expect(log).toEqual(['5:tick', '10:tick', '15:tick']);
  });

  it('fire late ones once each, in order, when time has jumped', async () => {
    const { clock, timers, log, say } = clocked();
    timers.setInterval(say, 5, 'i');
    timers.setTimeout(say, 12, 't');
    clock.ms = 50;
    expect(await timers.fireDue(turn)).toBe(2);
    expect(log).toEqual(['50:i', '50:t']);
    expect(timers.nextMs()).toBe(55);
  });

  it('clear by handle or by number, and take no nonsense delay', async () => {
    const { timers, log, say, advance } = clocked();
    const first = timers.setTimeout(say, Number.NaN, 'first');
    const second = timers.setTimeout(say, -3, 'second');
    timers.clear(Number(second));
    timers.clear(undefined);
    expect([first.hasRef(), second.hasRef()]).toEqual([true, false]);
    await advance(1);
    expect(log).toEqual(['1:first']);
    expect(first.hasRef()).toBe(false);
  });

  it('refresh begins the delay again', async () => {
    const { timers, log, say, advance } = clocked();
    const handle = timers.setTimeout(say, 10, 'x');
    await advance(8);
    handle.refresh();
    await advance(17);
    expect(log).toEqual([]);
    await advance(18);
    expect(log).toEqual(['18:x']);
  });

  it('lets each callback settle before the next', async () => {
    const { timers, log, say, advance } = clocked();
    timers.setTimeout(() => void Promise.resolve('then').then(say), 1);
    timers.setTimeout(say, 1, 'next');
    await advance(1);
    expect(log).toEqual(['1:then', '1:next']);
  });
});
