import { readFileSync } from 'node:fs';
let src = readFileSync('/tmp/wt/dfs/fuzz.tmp.mjs','utf8').split('let n=0, full=0')[0];
src += `
const prog = ${process.argv[2]};
const v = process.env.V;
const a = run(prog,{reduction:false}); const b = run(prog,{});
console.log("N", a.executions, a.states.length, b.executions, b.states.length, b.diverged);
`;
import { writeFileSync } from 'node:fs';
writeFileSync('/tmp/wt/dfs/one2.tmp.mjs', src); await import('/tmp/wt/dfs/one2.tmp.mjs');
