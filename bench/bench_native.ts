// SPDX-License-Identifier: GPL-2.0-only
/**
 * C peers: one source file per bench group in bench/native, built by `cc` into bench/native/bin on
 * first use. Where there is no compiler, or no source (an installed package), the peers are left
 * out.
 *
 * A peer program is called as `bin/NAME MS CASE THREADS ARG...` and prints operations per second,
 * and perhaps further figures, a line of NAME VALUE each.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const NATIVE_DIR = fileURLToPath(new URL('../../bench/native/', import.meta.url));

/**
 * Builds bench/native/NAME.c if its program is older than it or a header there.
 * @param libs more arguments for cc, such as '-llz4'
 * @returns the program's path, or null, after a notice, when it cannot be built
 */
export async function buildNative(
  name: string,
  notice: (line: string) => void,
  libs: readonly string[] = [],
): Promise<string | null> {
  const source = join(NATIVE_DIR, `${name}.c`);
  const program = join(NATIVE_DIR, 'bin', name);
  if (!existsSync(source)) {
    notice(`bench: ${name}.c is not here, no C peers`);
    return null;
  }
  const headers = readdirSync(NATIVE_DIR).filter((file) => file.endsWith('.h'));
  const sources = [source, ...headers.map((file) => join(NATIVE_DIR, file))];
  const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
  if (existsSync(program) && statSync(program).mtimeMs > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  try {
    await exec('cc', ['-O2', '-std=gnu11', '-pthread', '-o', program, source, ...libs]);
    return program;
  } catch (error) {
    const reason = (error as { code?: unknown }).code === 'ENOENT' ? 'no cc' : String(error);
    notice(`bench: no C peers of ${name} (${reason})`);
    return null;
  }
}

/** What a peer program printed. */
export interface NativeResult {
  readonly opsPerSec: number;
  /** Its further figures, by name. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Runs one case of a peer program. @returns operations per second, and its further figures */
export async function runNativeFigures(
  program: string,
  ms: number,
  name: string,
  threads: number,
  ...args: readonly (string | number)[]
): Promise<NativeResult> {
  const { stdout } = await exec(program, [String(ms), name, String(threads), ...args.map(String)]);
  const [first = '', ...rest] = stdout.trim().split('\n');
  const figures = rest.map((line) => line.split(' ')).map(([key, value]) => [key, Number(value)]);
  return { opsPerSec: Number(first), figures: Object.fromEntries(figures) };
}

/** Runs one case of a peer program. @returns operations per second */
export async function runNative(
  program: string,
  ms: number,
  name: string,
  threads: number,
  ...args: readonly (string | number)[]
): Promise<number> {
  return (await runNativeFigures(program, ms, name, threads, ...args)).opsPerSec;
}

/** Builds a peer on liburcu where it is, else on the QSBR of native/qsbr.h. */
export async function buildRcuNative(
  name: string,
  notice: (line: string) => void,
): Promise<string | null> {
  if (!existsSync(join(NATIVE_DIR, `${name}.c`))) return buildNative(name, notice);
  const liburcu = await buildNative(name, () => {}, ['-DHAVE_LIBURCU', '-lurcu-qsbr']);
  if (liburcu !== null) return liburcu;
  notice('bench: no liburcu, C peers use the QSBR of bench/native/qsbr.h');
  return buildNative(name, notice);
}
