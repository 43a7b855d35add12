// SPDX-License-Identifier: GPL-2.0-only
/**
 * Before each test file: flags that are the test runner's, which silences warnings with a preload,
 * are no reason for machines to load their modules one by one, as a user's preload is.
 */
import process from 'node:process';

const { execArgv } = process;
const runners = execArgv.findIndex((flag) => flag.includes('suppress-warnings'));
if (runners > 0) execArgv.splice(runners - 1, 2);
