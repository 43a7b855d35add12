// SPDX-License-Identifier: GPL-2.0-only
/**
 * The programs of workload kernbench: make, which starts compilers, some at once, and a linker
 * when all units are compiled. What a build writes says which build it was, so that an old object,
 * a torn one or another's is seen by the linker, and at the end on the host.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { Prng } from '../../shared/prng.ts';
import { addFigure, sumFigure } from './figures.ts';
import { layOut, readBack } from './host_blocks.ts';
import {
  type BuildFile,
  compilerFile,
  headerFile,
  objectFile,
  onHost,
  programFile,
  sourceFile,
} from './kernbench_files.ts';
import { type KernbenchShape, Tool } from './kernbench_tool.ts';
import { addLatency } from './latencies.ts';

/** What a compiler, or the linker, is told. */
interface UnitArgs {
  readonly sb: number;
  readonly unit: number;
  readonly build: number;
}

const EXIT_SIGKILL = 137;
/** Headers that a unit reads. */
const HEADERS = 12;
/** One object in so many is written through a mapping. */
const MAPPED_ONE_IN = 4;

/** Exit code of a unit: a wrong one is another's. */
function codeOf(unit: number): number {
  return unit % 61;
}

/** Compiles one unit. @context a generator program */
export function* cc(proc: Proc, { sb, unit, build }: UnitArgs): ProcCall<number> {
  const tool = new Tool(proc, sb);
  const { shape } = tool;
  const prng = new Prng(shape.seed, unit * 1009 + build);
  yield* tool.exec(prng);
  const source = sourceFile(shape, unit);
  yield* tool.read(source, 0);
  for (let i = 0; i < Math.min(HEADERS, shape.headers); i++) {
    // The first ones are everybody's.
    const among = i < HEADERS / 2 ? Math.ceil(shape.headers / 8) : shape.headers;
    yield* tool.read(headerFile(shape, prng.below(among)), 0);
  }
  yield* tool.compute(prng, source.blocks);
  Atomics.store(shape.begun, unit, build);
  const object = objectFile(shape, unit);
  if (prng.below(MAPPED_ONE_IN) === 0) yield* tool.writeMapped(object, build);
  else yield* tool.write(object, build);
  Atomics.store(shape.done, unit, build);
  return codeOf(unit);
}

/** Links: reads every object, writes the program. @context a generator program */
export function* ld(proc: Proc, { sb, unit, build }: UnitArgs): ProcCall<number> {
  const tool = new Tool(proc, sb);
  const { shape } = tool;
  yield* tool.exec(new Prng(shape.seed, build));
  for (let at = 0; at < shape.units; at++) yield* tool.read(objectFile(shape, at), build);
  Atomics.store(shape.begun, unit, build);
  yield* tool.write(programFile(shape), build);
  Atomics.store(shape.done, unit, build);
  return codeOf(unit);
}

/** A process under way. */
interface Under {
  readonly unit: number;
  readonly beganNs: number;
}

/** Starts compilers and the linker, and waits for them. */
class Make {
  readonly #proc: Proc;
  readonly #shape: KernbenchShape;
  readonly #sb: number;
  readonly #running = new Map<number, Under>();
  /** Units that are to be compiled. */
  readonly #left: number[] = [];

  constructor(proc: Proc, sb: number) {
    this.#proc = proc;
    this.#shape = proc.shared as KernbenchShape;
    this.#sb = sb;
  }

  #count(name: string, amount: number): void {
    addFigure(this.#shape.figures, this.#proc.cpu, name, amount);
  }

  /** @returns whether it was started; where there is no room, one that runs is waited for */
  #start(program: 'cc' | 'ld', unit: number, build: number): boolean {
    const { prefix } = this.#shape;
    const args: UnitArgs = { sb: this.#sb, unit, build };
    const pid = this.#proc.spawn(`${prefix}${program}`, args);
    if (pid > 0) this.#running.set(pid, { unit, beganNs: this.#proc.now() });
    else this.#count('refused', 1);
    return pid > 0;
  }

  /** Waits for one. @returns its unit, -1 when it was killed and is to be made again */
  *#reap(latency: 'unit' | 'link'): ProcCall<number> {
    const ended = yield* this.#proc.wait();
    if (typeof ended === 'number') throw new Error(`kernbench: wait: ${ended}`);
    const { unit, beganNs } = this.#running.get(ended.pid) as Under;
    this.#running.delete(ended.pid);
    if (ended.code === EXIT_SIGKILL) {
      this.#count('killed', 1);
      this.#left.push(unit);
      return -1;
    }
    if (ended.code !== codeOf(unit)) {
      throw new Error(`kernbench: unit ${unit} ended with ${ended.code}, not ${codeOf(unit)}`);
    }
    const ns = this.#proc.now() - beganNs;
    addLatency(this.#shape.figures.latencies, this.#proc.cpu, latency, ns);
    if (latency === 'unit') this.#count('units', 1);
    return unit;
  }

  /** One build. */
  *build(build: number): ProcCall<void> {
    const { units, jobs } = this.#shape;
    for (let unit = units - 1; unit >= 0; unit--) this.#left.push(unit);
    while (this.#left.length > 0 || this.#running.size > 0) {
      while (this.#left.length > 0 && this.#running.size < jobs) {
        const unit = this.#left.at(-1) as number;
        if (this.#start('cc', unit, build)) this.#left.pop();
        else if (this.#running.size === 0) yield* this.#proc.sleep(1);
        else break;
        yield;
      }
      if (this.#running.size > 0) yield* this.#reap('unit');
    }
    for (let linked = false; !linked; ) {
      if (!this.#start('ld', units, build)) yield* this.#proc.sleep(1);
      else linked = (yield* this.#reap('link')) === units;
    }
    this.#left.length = 0;
    this.#count('builds', 1);
  }
}

/** Lays out what a build needs. */
function* layOutAll(shape: KernbenchShape): ProcCall<void> {
  yield* layOut(onHost(shape, compilerFile(shape)));
  for (let header = 0; header < shape.headers; header++) {
    yield* layOut(onHost(shape, headerFile(shape, header)));
  }
  for (let unit = 0; unit < shape.units; unit++)
    yield* layOut(onHost(shape, sourceFile(shape, unit)));
}

/** Reads back what builds have made, and what they were to leave alone. @returns pages */
function* verify(shape: KernbenchShape): ProcCall<number> {
  const { units, begun, done } = shape;
  let pages = 0;
  const check = function* (file: BuildFile, low: number, high: number): ProcCall<void> {
    const wrong = yield* readBack(onHost(shape, file), () => [low, high]);
    if (wrong !== null) throw new Error(`kernbench: on the host: ${wrong}`);
    pages += file.blocks;
  };
  for (let unit = 0; unit < units; unit++) {
    yield* check(sourceFile(shape, unit), 0, 0);
    yield* check(objectFile(shape, unit), done[unit] as number, begun[unit] as number);
  }
  yield* check(programFile(shape), done[units] as number, begun[units] as number);
  yield* check(compilerFile(shape), 0, 0);
  return pages;
}

/** The first process. @context a generator program */
export function* make(proc: Proc): ProcCall<number> {
  const shape = proc.shared as KernbenchShape;
  const { figures, builds, seconds } = shape;
  yield* layOutAll(shape);
  const sb = proc.files.mount(shape.dir, 'kernbench');
  if (sb < 0) throw new Error(`kernbench: cannot mount its folder: ${sb}`);
  const beganNs = proc.now();
  const make = new Make(proc, sb);
  for (
    let build = 1;
    builds === 0 ? proc.now() < beganNs + seconds * 1e9 : build <= builds;
    build++
  ) {
    // Twice: a mapped object is first one of the build between.
    yield* make.build(2 * build);
  }
  const ns = proc.now() - beganNs;
  const throughput = ns > 0 ? Math.round((sumFigure(figures, 'units') * 1e10) / ns) / 10 : 0;
  addFigure(figures, proc.cpu, 'throughput', throughput);
  const unmounted = proc.files.umount(sb);
  if (unmounted < 0) throw new Error(`kernbench: its folder is in use at the end: ${unmounted}`);
  addFigure(figures, proc.cpu, 'verified', yield* verify(shape));
  return 0;
}
