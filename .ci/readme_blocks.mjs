// SPDX-License-Identifier: GPL-2.0-only
/**
 * Takes the runnable examples out of a Markdown file: fenced blocks of `sh` or `js` that follow a
 * line `<!-- run -->`. Usage: readme_blocks.mjs FILE MODULES OUT
 * Writes OUT/block_NN, a shell fragment each; modules go to MODULES, inside the package, so that
 * they can import it by its name. No block at all, or a mark without a block, is an error.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const [file, modules, out] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const marks = text.match(/^<!-- run -->$/gm)?.length ?? 0;
const blocks = [...text.matchAll(/^<!-- run -->\n+```(sh|js)\n([\s\S]*?)^```$/gm)];
if (blocks.length === 0) throw new Error(`${file}: no runnable example`);
if (blocks.length !== marks) {
  throw new Error(`${file}: ${marks} marks, ${blocks.length} blocks of sh or js after one`);
}

mkdirSync(modules, { recursive: true });
blocks.forEach(([, language, body], index) => {
  const number = String(index + 1).padStart(2, '0');
  let fragment = body;
  if (language === 'js') {
    const module = join(modules, `example_${number}.mjs`);
    writeFileSync(module, body);
    fragment = `node '${module}'\n`;
  }
  writeFileSync(join(out, `block_${number}`), fragment);
});
