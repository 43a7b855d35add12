#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only
/**
 * The `kreclaim` command. Signals are taken before anything large is loaded, so that an interrupt
 * at any instant finds its handler.
 */
import process from 'node:process';
import { takeSignals } from './interrupt.ts';

takeSignals(process.argv[2]);
const { main } = await import('./program.ts');
process.exitCode = await main(process.argv.slice(2));
