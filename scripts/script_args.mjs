// SPDX-License-Identifier: GPL-2.0-only
/** Options of the scripts here: `--help` is the head of the file, bad usage one line. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** @returns the text of a file's first block comment */
function headOf(path) {
  const [, comment = ''] = /\/\*\*\n([\s\S]*?)\n \*\//.exec(readFileSync(path, 'utf8')) ?? [];
  return comment.replaceAll(/^ \* ?/gm, '');
}

/** Options of the machine that stand alone on the command line; other switches are on or off. */
const BARE = ['lockdep'];

/** @returns arguments of `kreclaim` for options of the library */
export function machineArguments(options) {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (typeof value !== 'boolean') return [flag, `${value}`];
    if (BARE.includes(name)) return value ? [flag] : [];
    return [flag, value ? 'on' : 'off'];
  });
}

/**
 * Parses the command line, as `parseArgs` of node:util does. Ends the process after `--help`, and
 * with exit code 2 when the arguments will not do.
 * @param url `import.meta.url` of the script
 */
export function scriptArgs(url, config) {
  const path = fileURLToPath(url);
  const help = { type: 'boolean', short: 'h' };
  try {
    const parsed = parseArgs({ ...config, options: { ...config.options, help } });
    if (parsed.values.help !== true) return parsed;
    console.log(headOf(path));
    process.exit(0);
  } catch (error) {
    const [reason] = error.message.split(/[.\n]/);
    console.error(`${basename(path)}: ${reason}; --help says what there is`);
    process.exit(2);
  }
}
