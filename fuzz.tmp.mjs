import fc from 'fast-check';
const D='/tmp/wt/dfs/';
const { DfsStrategy } = await import(D+'dist/src/harness/dfs.js');
const C = await import(D+'dist/src/harness/control.js');
const S = await import((process.env.SIM ?? '/tmp/wt/dfs/test/helpers/schedule_sim.tmp.mjs'));
const [seed, runs, mode='plain'] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const bound = process.argv[5] ? Number(process.argv[5]) : Infinity;
const timeouts = process.argv[6] ? Number(process.argv[6]) : 0;
const idx = fc.nat({max:Number(process.env.IDX??1)});
const val = fc.nat({max:2});
const instr = fc.oneof(
  {weight:3, arbitrary: fc.record({t:fc.constant('load'), i:idx})},
  {weight:3, arbitrary: fc.record({t:fc.constant('store'), i:idx, v:val})},
  {weight:1, arbitrary: fc.record({t:fc.constant('add'), i:idx})},
  {weight:Number(process.env.CASW??2), arbitrary: fc.record({t:fc.constant('cas'), i:idx, e:val, v:val})},
  {weight:2, arbitrary: fc.record({t:fc.constant('wait'), i:idx, v:val, ms: fc.constantFrom(Infinity, Infinity, 1, 2)})},
  {weight:2, arbitrary: fc.record({t:fc.constant('notify'), i:idx, n: fc.constantFrom(1,Infinity)})},
  {weight:Number(process.env.SPINW??1), arbitrary: fc.record({t:fc.constant('spin'), i:idx, v:val, r: fc.boolean()})},
  {weight:1, arbitrary: fc.record({t:fc.constant('if'), i:idx})},
);
const program = fc.array(fc.array(instr,{minLength:1,maxLength:4}),{minLength:2,maxLength:3});
function thread(prog){ return function*(){
  let h=7; let skip=false;
  for (const x of prog){
    if (skip){skip=false; continue;}
    let r=0;
    if (x.t==='load') r = yield S.load(x.i);
    else if (x.t==='store') yield S.store(x.i,x.v);
    else if (x.t==='add') r = yield S.add(x.i,1);
    else if (x.t==='cas') r = yield S.cas(x.i,x.e,x.v);
    else if (x.t==='wait') r = yield S.wait(x.i,x.v,x.ms);
    else if (x.t==='notify') r = yield S.notify(x.i,x.n);
    else if (x.t==='spin') { while ((yield S.load(x.i)) === x.v) if (x.r) yield S.relax(); }
    else if (x.t==='if') { r = yield S.load(x.i); skip = r!==0; }
    h = (h*31 + r)|0;
  }
  return h; } }
function run(prog, options){
  const states=new Set();
  const sim=new S.Simulation(prog.map(thread),{words:3,stepsMax:400,timeouts,onEnd(c,m,r){ if(c.words[C.H_OUTCOME]===C.OUTCOME_REDUNDANT)return; states.add(S.finalState(c,m,r)); }});
  sim.control.words[C.H_IDLE_LIMIT]=4;
  const st=new DfsStrategy({maxExecutions:4000,...options});
  sim.run(st);
  return {states:[...states].sort(), ...st.stats};
}
let n=0, full=0, red=0, dp=0, pl=0;
const res = fc.check(fc.property(program, (prog)=>{
  const full_ = run(prog,{reduction:false, preemptions: bound});
  if (!full_.complete) return true;
  n++; 
  const r = run(prog,{preemptions: bound});
  pl+=full_.executions; dp+=r.executions; red+=r.redundant;
  if (r.diverged) throw new Error('diverged');
  if (!r.complete) throw new Error('incomplete '+r.executions+' vs '+full_.executions);
  if (r.states.join('\n')!==full_.states.join('\n')) throw new Error(`states: full ${full_.states.length} dpor ${r.states.length} exec ${full_.executions} ${r.executions}\nmissing ${full_.states.filter(x=>!r.states.includes(x)).slice(0,3).join(' ; ')}`);
  if (bound===Infinity && r.executions>full_.executions) throw new Error('more executions');
}),{seed,numRuns:runs});
console.log({seed, compared:n, plain:pl, dpor:dp, redundant:red});
if (res.failed) { console.log(JSON.stringify(res.counterexample)); console.log(String(res.errorInstance?.message ?? res.error)); }
