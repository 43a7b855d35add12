// SPDX-License-Identifier: GPL-2.0-only
/**
 * Of a JSON report of vitest: the names of failed tests on stdout, a line each; on stderr the same
 * with their files and messages.
 *
 *   node .ci/failed_tests.mjs REPORT.json
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';

/** Lines of a message that are shown. */
const LINES = 30;

const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const { name, message, assertionResults } of testResults) {
  const file = relative(process.cwd(), name);
  for (const { status, fullName, failureMessages } of assertionResults) {
    if (status !== 'failed') continue;
    const lines = failureMessages.join('\n').split('\n').slice(0, LINES);
    console.log(`  ${file}: ${fullName}`);
    console.error(`FAIL ${file}: ${fullName}\n${lines.join('\n')}\n`);
  }
  if (message) console.error(`FAIL ${file}: ${message}\n`);
}
