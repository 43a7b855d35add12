// SPDX-License-Identifier: GPL-2.0-only
/**
 * A simulated CPU: enters a process's address space, runs its program, reads back what it wrote,
 * leaves.
 *
 * Processes that end while others run give their memory back at once, as they would anywhere. The
 * last ones wait at the gate until the main thread has looked at the machine as the programs left
 * it.
 */
import { bug } from '../shared/assert.ts';
import { kthreadShouldStop } from '../shared/sched.ts';
import { LINE_WORDS } from '../shared/types.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import { drainOwnBatches } from '../src/mm/drain.ts';
import { exitMm } from '../src/mm/exit_mm.ts';
import { oomVictim } from '../src/mm/fatal_signal.ts';
import { hostMount } from '../src/mm/hostfs.ts';
import { memcgRefresh } from '../src/mm/memcg_task.ts';
import {
  GATE_ALL_ENDED,
  GATE_EXITING,
  GATE_MOUNTED,
  GATE_OPEN,
  GATE_RUNNING,
  type Mm,
} from '../src/mm/mm.ts';
import { psiProductive } from '../src/mm/psi.ts';
import { shmemEvictAll } from '../src/mm/shmem.ts';
import { umountAll } from '../src/mm/super.ts';
import { switchMm } from '../src/mm/tlb.ts';
import { RUN_KILLED, RUN_SIGBUS } from '../src/mm/user.ts';
import { verifyPages } from '../src/mm/verify.ts';
import { verifyFiles } from '../src/mm/verify_files.ts';
import {
  addMismatches,
  addPagesVerified,
  CPU_ENDED,
  CPU_RESULT,
  CPU_RUNNING,
  CPU_VERIFYING,
  setStatus,
} from './cpu_state.ts';
import { CpuTasks } from './cpu_tasks.ts';
import type { LoadedProgram } from './engine.ts';
import { leaveBarriers, waitAtGate } from './gate.ts';
import { Process } from './process.ts';

type Program = (process: Process, args: unknown) => number | undefined;

/**
 * Runs one process's program on this CPU, or takes turns between those that it forks.
 * @param mm the process @param programs its program, loaded; then those that can be forked
 * @context thread function of a simulated CPU
 */
export function runCpu(m: Mm, mm: number, programs: readonly LoadedProgram[]): void {
  mountHostDirs(m);
  setStatus(m, CPU_RUNNING);
  if (m.config.processes[mm - 1]?.generator === true) {
    new CpuTasks(m, programs).run();
    setStatus(m, CPU_ENDED);
    leaveProcess(m, 0);
    return;
  }
  runProgram(m, mm, programs[0] as LoadedProgram);
  setStatus(m, CPU_ENDED);
  leaveProcess(m, mm);
}

/** Mounts the directories of the configuration: the first CPU does, the others wait for it. */
function mountHostDirs(m: Mm): void {
  const { hostDirs = [] } = m.config;
  if (hostDirs.length === 0) return;
  if (m.task.cpu > 0) {
    waitAtGate(m, () => Atomics.load(m.gate, GATE_MOUNTED) !== 0);
    return;
  }
  for (const [at, dir] of hostDirs.entries()) {
    const sb = hostMount(m, dir, `host${at + 1}`);
    if (sb !== at + 1) bug(`${dir} cannot be mounted: ${sb}`);
  }
  Atomics.store(m.gate, GATE_MOUNTED, 1);
  wakeUp(m.gateWait, 0, WAKE_ALL);
}

/** Runs a program, waits for its process's other CPUs, and reads its memory back. */
function runProgram(m: Mm, mm: number, program: LoadedProgram): void {
  const process = new Process(m, mm, kthreadShouldStop);
  switchMm(m, mm);
  process.mapAll();
  memcgRefresh(m, mm);
  psiProductive(m, true);
  const result = (program.fn as unknown as Program)(process, program.args) ?? 0;
  psiProductive(m, false);
  leaveBarriers(m);
  if (typeof result === 'object') {
    bug(`the program of ${process.comm} is a generator function: give generator: true`);
  }
  Atomics.store(m.cpuState, m.task.cpu * LINE_WORDS + CPU_RESULT, result);
  process.files.closeAll();
  joinProcess(m, mm);
  setStatus(m, CPU_VERIFYING);
  verify(m, process, result === RUN_KILLED || result === RUN_SIGBUS);
}

function verify(m: Mm, process: Process, killed: boolean): void {
  let { mismatches, firstMismatch: note } = process.pages;
  mismatches += process.memory.mismatches;
  note ??= process.memory.firstMismatch;
  for (const user of process.contexts) {
    mismatches += user.mismatches;
    note ??= user.firstMismatch;
    if (killed) continue;
    const read = verifyPages(m, user, process.isFirstCpu);
    // Chosen by the OOM killer after its program's end: the reaper may have been before us.
    if (oomVictim(m, user.mm)) continue;
    mismatches += read.mismatches;
    note ??= read.first;
    if (process.isFirstCpu) addPagesVerified(m, read.pages);
  }
  addMismatches(m, mismatches, note);
}

/**
 * Reads the files back: by the CPU whose program was the last to end, so that nobody writes any
 * more.
 */
function verifyAllFiles(m: Mm): void {
  const read = verifyFiles(m);
  addPagesVerified(m, read.pages);
  addMismatches(m, read.mismatches, read.first);
}

/**
 * Waits until every CPU of the process has ended its program: only then has every page been
 * touched.
 */
function joinProcess(m: Mm, mm: number): void {
  if (Atomics.sub(m.mm.running, mm, 1) === 1) wakeUp(m.gateWait, 0, WAKE_ALL);
  else waitAtGate(m, () => Atomics.load(m.mm.running, mm) === 0);
}

/**
 * Ends the process on this CPU, if it has one (`mm` is not 0): at once when others still run, after
 * the gate when it is among the last. Whoever comes to rest last says so to the main thread.
 */
function leaveProcess(m: Mm, mm: number): void {
  Atomics.add(m.gate, GATE_EXITING, 1);
  const others = Atomics.sub(m.gate, GATE_RUNNING, 1) - 1;
  if (others === 0) verifyAllFiles(m);
  const early = others > 0 && !lastProcess(m);
  if (early) {
    if (mm !== 0) exitMm(m, mm);
    drainOwnBatches(m);
  }
  const resting = Atomics.sub(m.gate, GATE_EXITING, 1) === 1;
  if (resting && Atomics.load(m.gate, GATE_RUNNING) === 0) {
    Atomics.store(m.gate, GATE_ALL_ENDED, 1);
    wakeUp(m.gateWait, 0, WAKE_ALL);
  }
  if (early) return;
  waitAtGate(m, () => Atomics.load(m.gate, GATE_OPEN) !== 0);
  if (mm !== 0) exitMm(m, mm);
  umountAll(m);
  // The last one out takes the files along that no mount has; two that go at once may both be.
  if (lastProcess(m)) shmemEvictAll(m);
  drainOwnBatches(m);
}

/** Is this CPU's process the only one left? Then its pages are what the run leaves behind. */
function lastProcess(m: Mm): boolean {
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    if (mm !== m.task.mm && Atomics.load(m.mm.users, mm) > 0) return false;
  }
  return true;
}
