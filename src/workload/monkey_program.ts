// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zygote of workload monkey: it has what all apps share, launches them by popularity, and kills
 * the oldest when memory is short (system_server and lmkd are in it, too).
 *
 *   cold   the app does not live: fork it, and wait until it says that it has started
 *   hot    it lives: wake it, and wait until it says that it has come to the front
 *
 * As many launches as there are CPUs are under way at once. What it asks of an app, and what the
 * app has done, are words of shared memory, each with one writer; signals only say that they have
 * changed.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { EXIT_SIGBUS, EXIT_SIGINT, EXIT_SIGKILL } from '../mm/task_exit.ts';
import { addFigure } from './figures.ts';
import { MemoryWatch } from './memory_watch.ts';
import { makeLibraries, mapLibraries } from './monkey_files.ts';
import { ask, asked, done, type MonkeyShape } from './monkey_shape.ts';
import { zipfDraw } from './zipf.ts';

/** Pages that the zygote writes at a stretch. */
const STRETCH = 64;
/** Between two tries where no process can be made, nor killed, in ms. */
const RETRY_MS = 1;

/** An app that lives. */
interface App {
  readonly app: number;
  readonly pid: number;
  /** When it was asked for last, counted in launches. */
  used: number;
  /** Killed by the zygote, and not gone yet. */
  killed: boolean;
}

/** @context the zygote's CPU */
class Zygote {
  readonly #proc: Proc;
  readonly #shape: MonkeyShape;
  readonly #fds: readonly number[];
  readonly #apps = new Map<number, App>();
  readonly #byPid = new Map<number, App>();
  readonly #watch: MemoryWatch;
  #launches = 0;

  /** @param fds of the libraries */
  constructor(proc: Proc, shape: MonkeyShape, fds: readonly number[]) {
    this.#proc = proc;
    this.#shape = shape;
    this.#fds = fds;
    this.#watch = new MemoryWatch(proc, shape);
  }

  /** Launches one app after the other, until there were enough or the time is over. */
  *run(): ProcCall<void> {
    const { launches, seconds, thinkMs, popularity } = this.#shape;
    const untilNs = this.#proc.now() + seconds * 1e9;
    const more = (): boolean =>
      launches > 0 ? this.#launches < launches : this.#proc.now() < untilNs;
    while (more()) {
      yield* this.#launch(zipfDraw(popularity, this.#proc.random));
      yield* this.#untilBusy(this.#proc.cpus.length - 1);
      if (thinkMs > 0) yield* this.#proc.sleep(thinkMs);
      yield* this.#relieve();
    }
    yield* this.#untilBusy(0);
  }

  /** Ends all apps, and waits for them. */
  *end(): ProcCall<void> {
    for (const app of this.#apps.values()) {
      app.killed = true;
      this.#proc.kill(app.pid);
    }
    while (this.#apps.size > 0) {
      this.#reap();
      if (this.#apps.size > 0) yield* this.#proc.pause();
    }
  }

  *#launch(app: number): ProcCall<void> {
    this.#reap();
    this.#launches++;
    this.#count('launches');
    const living = this.#apps.get(app);
    if (living !== undefined && !living.killed) {
      this.#count('hot');
      living.used = this.#launches;
      ask(this.#shape, app, asked(this.#shape, app) + 1);
      this.#proc.signal(living.pid);
      return;
    }
    // What was killed has to be gone: its words are those of its next life.
    while (this.#apps.has(app)) {
      yield* this.#proc.pause();
      this.#reap();
    }
    this.#count('cold');
    yield* this.#start(app);
  }

  *#start(app: number): ProcCall<void> {
    ask(this.#shape, app, 1);
    for (;;) {
      const fd = this.#fds[app % this.#fds.length] as number;
      const pid = this.#proc.fork(`${this.#shape.prefix}app`, { app, fd });
      if (pid > 0) {
        const started = { app, pid, used: this.#launches, killed: false };
        this.#apps.set(app, started);
        this.#byPid.set(pid, started);
        return;
      }
      this.#count('refused');
      this.#killOldest();
      yield* this.#proc.sleep(RETRY_MS);
      this.#reap();
    }
  }

  /** Waits until at most so many apps are on their way to the front. */
  *#untilBusy(most: number): ProcCall<void> {
    for (;;) {
      this.#reap();
      let busy = 0;
      for (const { app } of this.#apps.values()) if (this.#isBusy(app)) busy++;
      if (busy <= most) return;
      yield* this.#proc.pause();
    }
  }

  #isBusy(app: number): boolean {
    return done(this.#shape, app) < asked(this.#shape, app);
  }

  /** Kills an app where memory is short, and waits until it is gone. */
  *#relieve(): ProcCall<void> {
    if (!this.#watch.short()) return;
    const victim = this.#killOldest();
    while (victim !== null && this.#byPid.has(victim.pid)) {
      yield* this.#proc.pause();
      this.#reap();
    }
  }

  /** @returns the app in the background that was used longest ago, which is told to end; or null */
  #killOldest(): App | null {
    let oldest: App | null = null;
    for (const app of this.#apps.values()) {
      if (app.killed || this.#isBusy(app.app)) continue;
      if (oldest === null || app.used < oldest.used) oldest = app;
    }
    if (oldest === null) return null;
    oldest.killed = true;
    this.#count('kills');
    this.#proc.kill(oldest.pid);
    return oldest;
  }

  /** Takes note of apps that have ended. @throws Error for one that ended of itself */
  #reap(): void {
    for (;;) {
      const ended = this.#proc.tryWait();
      if (typeof ended === 'number') return;
      const app = this.#byPid.get(ended.pid);
      if (app === undefined) throw new Error(`process ${ended.pid} is no app`);
      this.#byPid.delete(ended.pid);
      this.#apps.delete(app.app);
      const { code } = ended;
      if (code !== EXIT_SIGKILL && code !== EXIT_SIGINT && code !== EXIT_SIGBUS) {
        throw new Error(`app ${app.app} ended with ${code}`);
      }
      if (code === EXIT_SIGKILL && !app.killed) this.#count('oomKilled');
      // Nobody waits for a launch that will not be done.
      ask(this.#shape, app.app, done(this.#shape, app.app));
    }
  }

  #count(name: string): void {
    addFigure(this.#shape.figures, this.#proc.cpu, name, 1);
  }
}

/** The first process. @context a generator program */
export function* zygote(proc: Proc): ProcCall<number> {
  const shape = proc.shared as MonkeyShape;
  const { zygote } = shape;
  const sb = yield* makeLibraries(proc, shape);
  const fds = yield* mapLibraries(proc, shape, sb);
  if (proc.mmap(zygote.first, zygote.pages) < 0) throw new Error('monkey: the zygote has no room');
  for (let at = 0; at < zygote.pages; at += STRETCH) {
    proc.touch(zygote.first + at, Math.min(STRETCH, zygote.pages - at), true);
    if (proc.preempted) yield;
  }
  const launcher = new Zygote(proc, shape, fds);
  yield* launcher.run();
  yield* launcher.end();
  return 0;
}
