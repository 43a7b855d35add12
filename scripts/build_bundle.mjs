// SPDX-License-Identifier: GPL-2.0-only
/**
 * Puts modules that are loaded together into one file: some 250 of them cost a worker 0.1 s of CPU
 * to load one by one, and the bundle a fifth of that. `src/bundle.ts` says who uses them: nobody
 * one that is older than an input.
 *
 *   kthreads/bundle.js     all that a machine's worker loads. Starts entry.js; modules that are
 *                          asked for by URL are in it too, so that `load` finds them there
 *   src/cli/run_bundle.js  run_command.js, with the main side of a machine
 *   src/deterministic/host_bundle.js
 *                          host.js: the main side of a deterministic machine
 *   src/harness/preload_bundle.js
 *                          preload.js of its threads; the host finds the schedule's state there
 *   NAME.json              modules   what can be asked for, inputs   all that is in it; paths
 *                          below dist/
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const THREADS = 'kthreads/bundle';
const RUN = 'src/cli/run_bundle';
const RUN_COMMAND = 'src/cli/run_command.js';
const HOST = 'src/deterministic/host_bundle';
const HOST_ENTRY = 'src/deterministic/host.js';
const ENTRY = 'bundle:entry';
const MODULES = 'bundle:modules';
/** Loaded by `entry.js` itself, or only with a profile. */
const APART = ['entry.js', 'profiler.js', 'bundle.js'];
/** What `kreclaim` has loaded before `run`: its state and its classes are one. */
const SHARED = ['src/cli/interrupt.js', 'src/errors.js', 'src/machine_errors.js'];
/** The preload has patched the host's thread, and there is one state of a schedule. */
const PATCHING = 'src/harness/';
const PRELOAD = 'src/harness/preload_bundle';
const PRELOAD_ENTRY = 'src/harness/preload.js';
/** What the host asks the preload for. */
const FOR_HOST = ['control', 'machine_schedule', 'native', 'runtime'];
const BOTH = 'GPL-2.0-only AND MIT';

function files(folder, keep) {
  return readdirSync(DIST + folder)
    .filter((name) => name.endsWith('.js') && keep(name))
    .map((name) => `${folder}/${name}`);
}

/** Whatever a worker of a machine may be told to load, by its path below dist/. */
function modules() {
  return [
    ...files('kthreads', (name) => !APART.includes(name)),
    ...files('src/workload', (name) => name.endsWith('_program.js')),
    ...files('src/report', (name) => name.endsWith('_threads.js')),
  ];
}

/** The module that provides the others to `load`, under the names that they have apart. */
function modulesText(paths) {
  const imports = paths.map((path, i) => `import * as m${i} from '${DIST}${path}';`);
  const rows = paths.map((path, i) => `  ['${path}', m${i}],`);
  return `${imports.join('\n')}
import { provideModules } from '${DIST}kthreads/load_module.js';
provideModules(new URL('..', import.meta.url).href, [
${rows.join('\n')}
]);
`;
}

/** The preload, with names that others import from it. */
function preloadText() {
  const lines = FOR_HOST.map((name) => `export * from '${DIST}${PATCHING}${name}.js';`);
  return `${lines.join('\n')}\nimport '${DIST}${PRELOAD_ENTRY}';\n`;
}

/** @returns the file that the host's bundle imports in the place of a module, null for none */
function fromPreload(path) {
  if (!path.startsWith(PATCHING)) return null;
  if (FOR_HOST.some((name) => path === `${PATCHING}${name}.js`)) return `${PRELOAD}.js`;
  throw new Error(`${PRELOAD}.js exports nothing of ${path}: add it to FOR_HOST`);
}

function pathOf(id) {
  return relative(DIST, id).split(sep).join('/');
}

/** How a bundle names a file of its own dist. */
function fromBundle(name, path) {
  const url = relative(dirname(name), path).split(sep).join('/');
  return url.startsWith('.') ? url : `./${url}`;
}

/**
 * Rolldown's view: modules that exist here only, files that stay apart (`shared` says which), and
 * each file keeps the URL that it has apart.
 */
function plugin({ name, texts, shared }) {
  return {
    name: 'bundle',
    resolveId(id, importer, { kind }) {
      if (texts.has(id)) return id;
      if (importer === undefined || !id.startsWith('.')) return null;
      const path = pathOf(join(dirname(importer), id));
      const apart = kind === 'dynamic-import' ? path : shared(path);
      return apart === null ? null : { id: fromBundle(name, apart), external: true };
    },
    load: (id) => texts.get(id) ?? null,
    transform(code, id) {
      if (texts.has(id) || !code.includes('import.meta.url')) return null;
      const url = `new URL('${fromBundle(name, pathOf(id))}', import.meta.url).href`;
      return { code: code.replaceAll('import.meta.url', url), map: null };
    },
  };
}

function isFresh({ name, modules }) {
  const manifest = `${DIST}${name}.json`;
  if (!existsSync(manifest) || !existsSync(`${DIST}${name}.js`)) return false;
  const made = statSync(`${DIST}${name}.js`).mtimeMs;
  if (statSync(fileURLToPath(import.meta.url)).mtimeMs > made) return false;
  const { modules: had, inputs } = JSON.parse(readFileSync(manifest, 'utf8'));
  if (had.join() !== modules.join()) return false;
  return inputs.every((path) => existsSync(DIST + path) && statSync(DIST + path).mtimeMs <= made);
}

async function build(of) {
  const { name, modules, input, texts, license = BOTH } = of;
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: (id) => /^(node:|@?[a-z])/.test(id) && !texts.has(id),
    plugins: [plugin(of)],
  });
  const { output } = await bundle.generate({
    format: 'esm',
    codeSplitting: false,
    comments: false,
    keepNames: true,
    banner: `// SPDX-License-Identifier: ${license}`,
  });
  const [chunk] = output;
  const inputs = chunk.moduleIds.filter((id) => id.startsWith(DIST)).map(pathOf);
  writeFileSync(`${DIST}${name}.js`, chunk.code);
  writeFileSync(`${DIST}${name}.json`, `${JSON.stringify({ modules, inputs }, null, 1)}\n`);
}

const threadModules = modules();
const NONE = new Map();
const BUNDLES = [
  {
    name: THREADS,
    modules: threadModules,
    input: ENTRY,
    texts: new Map([
      [ENTRY, `import '${MODULES}';\nimport '${DIST}kthreads/entry.js';\n`],
      [MODULES, modulesText(threadModules)],
    ]),
    shared: () => null,
  },
  {
    name: RUN,
    modules: [RUN_COMMAND],
    input: DIST + RUN_COMMAND,
    texts: NONE,
    shared: (path) => (SHARED.includes(path) ? path : null),
  },
  {
    name: HOST,
    modules: [HOST_ENTRY],
    input: DIST + HOST_ENTRY,
    texts: NONE,
    shared: fromPreload,
  },
  {
    name: PRELOAD,
    modules: [PRELOAD_ENTRY],
    input: ENTRY,
    texts: new Map([[ENTRY, preloadText()]]),
    shared: () => null,
    license: 'MIT',
  },
];

for (const bundle of BUNDLES) if (!isFresh(bundle)) await build(bundle);
