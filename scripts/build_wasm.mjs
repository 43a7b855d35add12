// SPDX-License-Identifier: GPL-2.0-only
/**
 * Compiles every AssemblyScript kernel, `<tree>/wasm/NAME.ts`, to `dist/<tree>/wasm/NAME.wasm`,
 * unless it is newer than its source and this script. The memory is imported; its declared bounds
 * admit an arena of any size.
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const KERNEL_DIRS = ['src/mm/wasm'];
const OPTIONS = [
  ...['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'threads'],
  ...['--importMemory', '--sharedMemory', '--noExportMemory'],
  ...['--initialMemory', '1', '--maximumMemory', '65536'],
];

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The newest of a source file and of this script. */
function sourceMs(source) {
  return Math.max(modifiedMs(join(ROOT, source)), modifiedMs(fileURLToPath(import.meta.url)));
}

async function compile(source, target) {
  const { default: asc } = await import('assemblyscript/asc');
  let binary = null;
  const { error, stderr } = await asc.main([source, '--outFile', basename(target), ...OPTIONS], {
    baseDir: ROOT,
    writeFile: (_name, contents) => {
      binary = contents;
    },
  });
  if (error !== null || binary === null) {
    process.stderr.write(`${stderr.toString()}\n`);
    throw error ?? new Error(`${source}: the compiler wrote nothing`);
  }
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, binary);
}

for (const dir of KERNEL_DIRS) {
  for (const name of readdirSync(join(ROOT, dir)).filter((file) => file.endsWith('.ts'))) {
    const source = `${dir}/${name}`;
    const target = join(ROOT, 'dist', dir, `${basename(name, '.ts')}.wasm`);
    if (modifiedMs(target) <= sourceMs(source)) await compile(source, target);
  }
}
