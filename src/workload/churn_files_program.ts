// SPDX-License-Identifier: GPL-2.0-only
/**
 * The program of scenario churn that uses files: pages of a tmpfs, and a file of the host, read,
 * written, mapped and synced, until the controlling program is done.
 */
import type { Process } from '../../kthreads/process.ts';
import { Prng } from '../../shared/prng.ts';
import { EINTR, EIO, ENOENT, ENOMEM, ENOSPC } from '../mm/errno.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import { addFigure, type Figures, sumFigure } from './figures.ts';

export interface ChurnFilesArgs {
  readonly figures: Figures;
  readonly done: Figures;
  /** Directory of the host, or null for a tmpfs alone. */
  readonly dir: string | null;
  /** Pages of each file. */
  readonly pages: number;
  /** Where the host's file is mapped: a shared and a private mapping, that move about. */
  readonly first: number;
  readonly seed: number;
}

/** Places of `pages` pages each from `first` on that mappings move between. */
export const MAPPED_PLACES = 4;
/** Tries of a call that a fault may fail. */
const TRIES_MAX = 1000;
/** What a page of the host's file says: which write it was, at its start and end. */
const WORDS = PAGE_SIZE / 4;

function again(call: () => number): number {
  let result = EIO;
  for (let tries = 0; tries < TRIES_MAX && result === EIO; tries++) result = call();
  return result;
}

/** What the program cannot do without: memory may be short for a moment. */
function must(what: string, call: () => number): number {
  let result = ENOMEM;
  for (let tries = 0; tries < TRIES_MAX && (result === ENOMEM || result === EIO); tries++) {
    result = call();
  }
  if (result < 0) throw new Error(`${what}: ${result}`);
  return result;
}

/** One CPU's use of files. */
class FileUser {
  readonly #process: Process;
  readonly #args: ChurnFilesArgs;
  readonly #random: Prng;
  readonly #tmpfs: number;
  #host = 0;
  /** Where the mappings are now. */
  readonly #bases: number[] = [];
  /** Number of the last write of each page of the host's file. */
  readonly #last: Int32Array;
  readonly #words = new Int32Array(WORDS);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  #seq = 0;

  constructor(process: Process, args: ChurnFilesArgs) {
    this.#process = process;
    this.#args = args;
    this.#random = new Prng(args.seed);
    this.#last = new Int32Array(args.pages);
    const { files } = process;
    const tmpfs = must('mount', () => files.mount('tmpfs', 'churn'));
    this.#tmpfs = must('open', () => files.open(tmpfs, 1, true));
    if (args.dir === null) return;
    const { dir } = args;
    const sb = must('mount of the host', () => files.host.mount(dir));
    const open = (name: string): number => {
      const fd = must(`open ${name}`, () => files.host.open(sb, name, true));
      again(() => files.host.truncate(fd, args.pages * PAGE_SIZE));
      return fd;
    };
    this.#host = open('file');
    this.#bases.push(args.first, args.first + args.pages);
    files.host.mmap(open('shared'), args.first, args.pages);
    files.host.mmap(open('private'), args.first + args.pages, args.pages, { private: true });
  }

  /** One access of some kind. @returns RUN_* */
  step(): number {
    const { pages, dir } = this.#args;
    const index = this.#random.below(pages);
    const dice = this.#random.below(dir === null ? 30 : 100);
    const { pages: tmpfs } = this.#process;
    let result = 0;
    if (dice < 15) result = tmpfs.write(this.#tmpfs, index);
    else if (dice < 30) result = tmpfs.read(this.#tmpfs, index);
    else if (dice < 50) this.#write(index);
    else if (dice < 70) this.#read(index);
    else if (dice < 72) again(() => this.#process.files.host.fsync(this.#host));
    else if (dice < 74) this.#move(this.#random.below(2));
    else {
      const vpn = (this.#bases[this.#random.below(2)] as number) + index;
      result = dice < 85 ? this.#process.store(vpn) : this.#process.load(vpn);
    }
    addFigure(this.#args.figures, this.#process.cpu, 'accesses', 1);
    return result === ENOENT || result === ENOSPC || result === EIO ? 0 : result;
  }

  /** A mapping goes to its other place: MAPPED_PLACES have room for two of each. */
  #move(which: number): void {
    const { first, pages } = this.#args;
    const from = this.#bases[which] as number;
    const to = from < first + 2 * pages ? from + 2 * pages : from - 2 * pages;
    const error = this.#process.memory.mremap(from, pages, pages, to);
    if (error === 0) this.#bases[which] = to;
    else if (error !== ENOMEM) throw new Error(`mremap: ${error}`);
  }

  #write(index: number): void {
    const seq = ++this.#seq;
    this.#words.fill(Math.imul(seq, 0x9e3779b1) ^ index);
    this.#words[0] = index;
    this.#words[1] = seq;
    const { host } = this.#process.files;
    const wrote = again(() => host.write(this.#host, this.#bytes, index * PAGE_SIZE));
    if (wrote === PAGE_SIZE) this.#last[index] = seq;
    else if (![EINTR, ENOMEM, ENOSPC].includes(wrote)) throw new Error(`write: ${wrote}`);
  }

  /** The page holds its last write, all of it. */
  #read(index: number): void {
    const { host } = this.#process.files;
    const got = again(() => host.read(this.#host, this.#bytes, index * PAGE_SIZE));
    if (got === ENOMEM || got === ENOSPC) return;
    const seq = this.#last[index] as number;
    const fill = seq === 0 ? 0 : Math.imul(seq, 0x9e3779b1) ^ index;
    const head = seq === 0 ? 0 : index;
    const rest = this.#words.findIndex((word, at) => at > 1 && word !== fill);
    if (got === PAGE_SIZE && this.#words[0] === head && this.#words[1] === seq && rest < 0) return;
    const found = `${got} bytes, ${this.#words[0]}:${this.#words[1]}, word ${rest} differs`;
    throw new Error(`page ${index} of the host's file: expected write ${seq}, got ${found}`);
  }
}

/** @returns RUN_* @context a simulated CPU */
export function churnFiles(process: Process, args: ChurnFilesArgs): number {
  const user = new FileUser(process, args);
  let result = 0;
  while (result === 0 && process.ended === 0 && sumFigure(args.done, 'over') === 0) {
    result = user.step();
  }
  return result || process.ended;
}
