import { readFileSync, writeFileSync } from 'node:fs';
let src = readFileSync('/tmp/wt/dfs/fuzz.tmp.mjs','utf8').split('let n=0, full=0')[0];
src += `
// shapes around P: threads as templates with random choices
const rnd=(n)=>Math.floor(Math.random()*n);
const ops=[()=>({t:'cas',i:0,e:rnd(3),v:rnd(3)}),()=>({t:'cas',i:0,e:rnd(2),v:rnd(2)}),()=>({t:'load',i:0}),()=>({t:'add',i:0}),()=>({t:'store',i:0,v:rnd(3)}),()=>({t:'store',i:1,v:rnd(3)}),()=>({t:'wait',i:1,v:rnd(3)}),()=>({t:'load',i:1}),()=>({t:'if',i:0}),()=>({t:'wait',i:0,v:rnd(2)}),()=>({t:'notify',i:0,n:1})];
const until=Date.now()+Number(process.argv[2])*1000; let n=0,bad=0,ex=0;
while(Date.now()<until && bad<2){
 const prog=[0,1,2].map(()=>Array.from({length:1+rnd(3)},()=>ops[rnd(ops.length)]()));
 const a=run(prog,{reduction:false,maxExecutions:4000}); if(!a.complete) continue; n++;
 const b=run(prog,{}); ex+=b.executions;
 if(a.states.join()!==b.states.join()||!b.complete){bad++;console.log('BAD',JSON.stringify(prog),a.executions,a.states.length,b.executions,b.states.length);}
}
console.log('n',n,'bad',bad,'dpor',ex);
`;
writeFileSync('/tmp/wt/dfs/fuzz22.tmp.mjs', src); await import('/tmp/wt/dfs/fuzz22.tmp.mjs');
