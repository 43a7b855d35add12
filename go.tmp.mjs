import { exploreReport } from './dist/src/harness/index.js';
import { pathToFileURL } from 'node:url';
const opts = JSON.parse(process.argv[3] ?? '{}');
if (opts.preemptions === 'inf') delete opts.preemptions;
const r = await exploreReport(pathToFileURL(process.argv[2]), { strategy: 'dfs', replayDir: false, seconds: 60, ...opts });
const { executions, redundant, wallMs, exhausted, figures, steps, failure } = r;
console.log(process.argv[2], process.env.N ?? '', JSON.stringify({ executions, redundant, steps, s: (wallMs / 1000).toFixed(2), rate: Math.round(executions / wallMs * 1000), exhausted, deepest: figures.deepest, fraction: figures.fraction }));
if (failure) console.log(failure.text.slice(0, 1500));
