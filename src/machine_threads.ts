// SPDX-License-Identifier: GPL-2.0-only
/** Which threads a machine of a configuration has, in the order of their ids. */
import {
  type EngineRef,
  kthreadSpec,
  type ModuleRef,
  type ProgramRef,
  STAGE_PROGRAMS,
  STAGE_RCU,
  STAGE_RELEASE,
  STAGE_WATCHDOG,
  type ThreadSpec,
} from '../kthreads/engine.ts';
import { shrinkerModules } from '../kthreads/user_shrinkers.ts';
import type { MmConfig, ProcessConfig } from './mm/config.ts';
import { policyHasKshrinkd } from './mm/contended.ts';
import { kcompressdNames } from './mm/kcompressd_hotplug.ts';
import type { Mm } from './mm/mm.ts';

/** A thread function of kthreads/, by file and export. */
function kthread(file: string, name: string): ModuleRef {
  return { module: new URL(`../kthreads/${file}.js`, import.meta.url).href, export: name };
}

/** What a CPU loads: its process's program, and what that may fork. */
function cpuPrograms(config: MmConfig, process: ProcessConfig): ProgramRef[] {
  const own = { ...process.program, args: process.args };
  if (!process.generator) return [own];
  return [own, ...config.programs.map(({ shared, ...program }) => ({ ...program, args: shared }))];
}

function cpuSpec(config: MmConfig, cpu: number, mm: number, process: ProcessConfig): ThreadSpec {
  return {
    ...kthreadSpec(`cpu${cpu}`, kthread('cpu', 'runCpu'), [mm]),
    stage: STAGE_PROGRAMS,
    cpu,
    // It would freeze nowhere: programs have no safe point, and the gate holds those that ended.
    nofreeze: true,
    programs: cpuPrograms(config, process),
  };
}

/**
 * The machine's threads: one per simulated CPU that runs a process, then the kthreads.
 * @returns specs whose position + 1 is the thread id
 */
export function machineThreads(config: MmConfig): ThreadSpec[] {
  const specs: ThreadSpec[] = [];
  config.processes.forEach((process, i) => {
    for (const cpu of process.cpus) specs.push(cpuSpec(config, cpu, i + 1, process));
  });
  specs.sort((a, b) => a.cpu - b.cpu);
  config.nodes.forEach((_node, nid) => {
    specs.push(kthreadSpec(`kswapd${nid}`, kthread('kswapd', 'kswapd'), [nid]));
  });
  if (policyHasKshrinkd(config.contended)) {
    config.nodes.forEach((_node, nid) => {
      specs.push(kthreadSpec(`kshrinkd${nid}`, kthread('kshrinkd', 'kshrinkd'), [nid]));
    });
  }
  if (config.kcompressd !== 'off') {
    config.nodes.forEach((_node, nid) => {
      kcompressdNames(nid, config.kcompressdThreads).forEach((name, i) => {
        const row = nid * config.kcompressdThreads + i;
        specs.push(kthreadSpec(name, kthread('kcompressd', 'kcompressd'), [row]));
      });
    });
  }
  if (config.swap === 'zswap') {
    specs.push(kthreadSpec('zswap_shrink', kthread('zswap_shrink', 'zswapShrink')));
  }
  if (config.hostFiles) specs.push(kthreadSpec('flusher', kthread('flusher', 'flusher')));
  if (config.memcgsMax > config.memcgs.length) {
    const destroy = kthreadSpec('cgroup_destroy', kthread('cgroup_destroy', 'cgroupDestroy'));
    specs.push({ ...destroy, stage: STAGE_RELEASE });
  }
  const rcuGp = kthreadSpec('rcu_gp', kthread('rcu_gp', 'rcuGp'));
  specs.push({ ...rcuGp, stage: STAGE_RCU, nofreeze: true });
  const khungtaskd = kthreadSpec('khungtaskd', kthread('khungtaskd', 'khungtaskd'));
  specs.push({ ...khungtaskd, stage: STAGE_WATCHDOG, nofreeze: true });
  // Last, as what is optional, so that the ids of the others are what they are without it.
  specs.push(kthreadSpec('oom_reaper', kthread('oom_reaper', 'oomReaper')));
  if (config.kcompactd === true) {
    config.nodes.forEach((_node, nid) => {
      specs.push(kthreadSpec(`kcompactd${nid}`, kthread('kcompactd', 'kcompactd'), [nid]));
    });
  }
  return specs;
}

/** How workers bind to the engine. Programs' arguments travel with their CPUs alone. */
export function engineRef(m: Mm): EngineRef {
  const processes = m.config.processes.map((process) => ({ ...process, args: null }));
  const programs = m.config.programs.map((program) => ({ ...program, shared: null }));
  return {
    ...kthread('mm_engine', 'attachEngine'),
    buffers: m.buffers,
    config: { ...m.config, processes, programs },
    modules: shrinkerModules(m),
  };
}
