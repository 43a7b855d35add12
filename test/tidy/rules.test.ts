// SPDX-License-Identifier: GPL-2.0-only
/** Each house rule beside a text that breaks it and one that does not. */
import { describe, expect, test } from 'vitest';
import {
  checkChance,
  checkClocks,
  checkConstructs,
  checkExactMath,
  checkMessages,
} from './banned.ts';
import {
  checkContexts,
  checkDocComments,
  checkGaps,
  checkKernelMap,
  checkLockOrder,
  lockOrderOfDocument,
} from './documents.ts';
import {
  checkForeign,
  checkHeader,
  checkLicence,
  checkLockfile,
  checkMarks,
  checkSize,
  checkSkipped,
} from './file_rules.ts';
import { checkDeadFiles, checkDependencies, checkLayers, importsOf } from './imports.ts';
import { checkAtomics, checkColumnTags, checkPairs } from './shared_state.ts';
import { type Finding, formatFinding, lineAt, type SourceFile, split } from './source.ts';

type Rule = (file: SourceFile) => Finding[];
const lines = (rule: Rule, path: string, text: string) => rule({ path, text }).map((f) => f.line);

/** [rule, path, text that breaks it, lines named, text that does not] */
const CASES: [string, Rule, string, string, number[], string][] = [
  [
    'licence: GPL in a folder under MIT',
    checkLicence,
    'shared/a.ts',
    '// SPDX-License-Identifier: GPL-2.0-only\n',
    [1],
    '// SPDX-License-Identifier: MIT\n',
  ],
  [
    'licence: none, after #!',
    checkLicence,
    'src/cli/main.ts',
    '#!/usr/bin/env node\nrun();\n',
    [2],
    '#!/usr/bin/env node\n// SPDX-License-Identifier: GPL-2.0-only\n',
  ],
  [
    'header: code comes first',
    checkHeader,
    'src/a.ts',
    '// SPDX-License-Identifier: GPL-2.0-only\nexport const A = 1;\n',
    [2],
    '// SPDX-License-Identifier: GPL-2.0-only\n/** The one constant there is. */\n',
  ],
  ['size: 601 lines', checkSize, 'src/a.ts', '\n'.repeat(601), [0], '\n'.repeat(600)],
  [
    'size: 101 columns, counted in characters',
    checkSize,
    'src/a.ts',
    `//\n${'x'.repeat(101)}\n`,
    [2],
    `${'é'.repeat(100)}\n`,
  ],
  [
    'marks',
    checkMarks,
    'src/a.ts',
    ['// TO', 'DO later\n'].join(''),
    [1],
    ["const text = 'TO", "DO';\n"].join(''),
  ],
  [
    'skipped',
    checkSkipped,
    'test/a.test.ts',
    'it.skip(1);\ndescribe.concurrent.only(2);\ntest.todo(3);\nxit(4);\nit.skipIf(5);\n',
    [1, 2, 3, 4, 5],
    "it('a test that mentions it.skip', run);\n",
  ],
  [
    'foreign',
    checkForeign,
    'README.md',
    [['see /wo', 'rk/main/x'].join(''), ['https://registry.', 'npmjs.org'].join('')].join('\n'),
    [1, 2],
    'see src/workload/trace.ts, https://nodejs.org',
  ],
  ['lockfile', checkLockfile, 'package-lock.json', '{\n"resolved": "x"\n}', [2], '{}'],
  [
    'column tag: none, two, no lock, no reason',
    checkColumnTags,
    'shared/a.ts',
    [
      'const A_COLUMNS = {',
      "  a: 'i32',",
      "  b: 'u8', // @atomic @frozen both",
      "  c: 'f64', // @guardedBy",
      "  d: 'u16', // @owner it  @racy",
      '};',
    ].join('\n'),
    [2, 3, 4, 5],
    "const A = {\n  a: 'i32', // @guardedBy lock  @racy reader: stale is harmless\n};\n",
  ],
  [
    'column tag: a schema in a call',
    checkColumnTags,
    'shared/a.ts',
    "builder.columns('a', { cells: 'i32' }, 1);\n",
    [1],
    "  readonly cells: I32; // @owner thread\nbuilder.columns('a', { cells: 'i32' }, 1);\n",
  ],
  [
    'column tag: rows of words',
    checkColumnTags,
    'src/mm/a.ts',
    "  // a lock\n  lock: words('lock', 1, 1),\n",
    [2],
    "  // @atomic lock words\n  lock: words('lock', 1, 1),\n",
  ],
  [
    'atomics: alias, destructuring, passing on',
    checkAtomics,
    'shared/a.ts',
    'const A = Atomics;\nconst { load } = Atomics;\nconst add = Atomics.add;\nf(Atomics);\n',
    [1, 2, 3, 4],
    "Atomics.load(a, 0); // Atomics are words, 'Atomics' too\n",
  ],
  [
    'clocks',
    checkClocks,
    'src/mm/a.ts',
    'Date.now();\nperformance.now();\nsetTimeout(f);\nprocess.hrtime();\n',
    [1, 2, 3, 4],
    'ktimeNs(); // not Date.now()\n',
  ],
  [
    'chance',
    checkChance,
    'test/a.test.ts',
    'Math.random();\nrandomBytes(4);\n',
    [1, 2],
    'new Prng(1);',
  ],
  [
    'exact math',
    checkExactMath,
    'src/workload/a.ts',
    'Math.pow(2, 3);\nMath.log2(8);\nMath.sin(1);\n',
    [1, 2, 3],
    'Math.sqrt(2) + Math.floor(1.5) + Math.clz32(4) + 2 ** 8;',
  ],
  [
    'constructs',
    checkConstructs,
    'src/a.ts',
    ['export const enum A {}', 'f(x as any);', ['// @ts-', 'ignore'].join('')].join('\n'),
    [1, 2, 3],
    "// an enum of any kind\nconst text = 'as any';",
  ],
  [
    'messages',
    checkMessages,
    'kthreads/a.ts',
    'parentPort.postMessage(1);\nawait f();\n',
    [1, 2],
    'waitEvent(words, 0, f); // no postMessage\n',
  ],
  [
    'layers: upward, and a package of another layer',
    checkLayers,
    'src/mm/a.ts',
    "import { a } from '../../kthreads/b.ts';\nimport { b } from '../run.ts';\nimport 'valibot';\n",
    [1, 2, 3],
    "import { c } from '../../shared/c.ts';\nimport { d } from './d.ts';\nimport 'node:fs';\n",
  ],
  [
    'layers: the substrate knows nobody',
    checkLayers,
    'shared/a.ts',
    "import { a } from '../src/mm/mm.ts';\nconst b = await import('lz4-napi');\n",
    [1, 2],
    "import { c } from './c.ts';\n// import '../src/mm/mm.ts'\n",
  ],
  [
    'layers: benches do not reach up',
    checkLayers,
    'bench/a.ts',
    "import { a } from '../src/workload/trace.ts';\n",
    [1],
    "import { a } from '../src/mm/mm.ts';\n",
  ],
  [
    'doc comment',
    checkDocComments,
    'shared/a.ts',
    '/** A. */\nconst A = 1;\n\nexport function f(): void {}\nexport class C {}\n',
    [4, 5],
    '/** F. */\nexport function f(): void {}\n/**\n * C.\n */\nexport class C {}\n',
  ],
  [
    'context',
    checkContexts,
    'src/mm/a.ts',
    '/** F. */\nexport function f(): void {\n  spinLock(w, 0, 1);\n}\n',
    [2],
    '/** F. @context takes l */\nexport function f(): void {\n  spinLock(w, 0, 1);\n}\n',
  ],
  ['gaps', checkGaps, 'docs/a.md', ['a\n<!-- fi', 'll me -->\n'].join(''), [2], '<!-- run -->\n'],
];

describe('tidy: rules of one file', () => {
  test.each(CASES)('%s', (_, rule, path, bad, want, good) => {
    expect(lines(rule, path, bad)).toEqual(want);
    expect(rule({ path, text: good })).toEqual([]);
  });

  test('exceptions hold where they are given, and nowhere else', () => {
    const clock = 'performance.now();';
    expect(lines(checkClocks, 'shared/ktime.ts', clock)).toEqual([]);
    expect(lines(checkClocks, 'src/cli/progress.ts', clock)).toEqual([]);
    expect(lines(checkClocks, 'src/workload/trace.ts', clock)).toEqual([1]);
    expect(lines(checkChance, 'shared/prng.ts', 'Math.random()')).toEqual([]);
    expect(lines(checkMessages, 'kthreads/entry.ts', 'await f()')).toEqual([]);
    expect(lines(checkExactMath, 'src/report/a.ts', 'Math.log10(2)')).toEqual([]);
  });
});

describe('tidy: rules of the tree', () => {
  const file = (path: string, text: string): SourceFile => ({ path, text });

  test('pairs: a tag that stands once', () => {
    const alone = file('shared/a.ts', '\n// PAIRS(wake): before\n// PAIRS(both)');
    const other = file('shared/b.ts', "// PAIRS(both)\nconst text = 'PAIRS(wake)';");
    expect(checkPairs([alone, other]).map(formatFinding)).toEqual([
      'shared/a.ts:2: pairs: PAIRS(wake) has no partner',
    ]);
  });

  test('dead files: neither imported, nor loaded, nor an entry', () => {
    const files = [
      file('src/index.ts', "import { a } from './a.ts';\nnew URL('./worker.js', import.meta.url);"),
      file('src/a.ts', "kthread('kswapd', 'kswapd');\n// import './dead.ts'"),
      file('src/worker.ts', ''),
      file('src/dead.ts', ''),
      file('src/named.ts', ''),
      file('kthreads/kswapd.ts', ''),
    ];
    const packageJson = '{ "default": "./dist/src/index.js" }';
    const byName = new Map([
      ['src/named.ts', 'somebody'],
      ['src/gone.ts', 'nobody'],
    ]);
    const found = checkDeadFiles(files, { packageJson, byName });
    expect(found.map((finding) => finding.path)).toEqual(['src/dead.ts', 'src/gone.ts']);
  });

  test('dependencies: a package too many, one too few, one unused, another kind', () => {
    const allowed = { dependencies: ['a', 'b'], devDependencies: ['t'] };
    const uses = [file('src/x.ts', "import 'a';\nconst b = createRequire(url)('b');")];
    const check = (value: object, files = uses) =>
      checkDependencies(JSON.stringify(value), allowed, files).map((found) => found.message);
    const good = { dependencies: { a: '1', b: '1' }, devDependencies: { t: '1' } };
    expect(check(good)).toEqual([]);
    expect(check(good, [])).toEqual(['nothing imports a', 'nothing imports b']);
    expect(check({ ...good, devDependencies: {} })).toHaveLength(1);
    expect(check({ ...good, dependencies: { a: '1', b: '1', c: '1' } })).toHaveLength(2);
    expect(check({ ...good, optionalDependencies: { o: '1' } })).toHaveLength(1);
  });

  test('lock order: another order, a missing class, no block', () => {
    const code = file('lock_order.ts', "const LOCK_ORDER = ['unclassed', 'a', 'b->c', 'd']");
    const say = (body: string) => checkLockOrder(code, file('locking.md', body)).length;
    expect(say('```lock-order\na\n  b->c  inside a\n    d — leaf\n```\n')).toBe(0);
    expect(say('```lock-order\nb->c\na\nd\n```\n')).toBe(1);
    expect(say('```lock-order\na\nb->c\n```\n')).toBe(1);
    expect(say('```\na\nb->c\nd\n```\n')).toBe(1);
    expect(lockOrderOfDocument('```lock-order\na (why)\n\nb - why\n```\n')).toEqual(['a', 'b']);
  });

  test('kernel map: a file that it leaves out, and one that it made up', () => {
    const files = [file('src/mm/a.ts', ''), file('src/mm/b.ts', ''), file('src/run.ts', '')];
    const found = checkKernelMap(file('map.md', '| `a.ts` |\n| src/mm/c.ts |'), files);
    expect(found.map(formatFinding)).toEqual([
      'map.md:0: kernel map: does not name src/mm/b.ts',
      'map.md:2: kernel map: names src/mm/c.ts, which is not there',
    ]);
  });
});

describe('tidy: layers of a text', () => {
  const code = (text: string) => split(text).code.replace(/ +/g, ' ').trim();

  test('comments and strings are no code; offsets stay', () => {
    const text = "a /* b\n'c' */ 'd // e' // f 'g'\nh";
    const layers = split(text);
    expect(layers.code.length).toBe(text.length);
    expect(code(text)).toBe("a \n ' ' \nh");
    expect(layers.comments.replace(/\s+/g, ' ')).toBe(" /* b 'c' */ // f 'g' ");
    expect(lineAt(text, text.indexOf('h'))).toBe(3);
  });

  test('an expression in a template is code, and so is what follows it', () => {
    const inner = ['`d $', '{e} f`'].join('');
    const blank = ['` $', '{e} `'].join('');
    expect(code(`\`a \${b({ c: ${inner} })} g\` + h`)).toBe(`\` \${b({ c: ${blank} })} \` + h`);
  });

  test('a regular expression is none, a division is', () => {
    expect(code("f(/it's [/] a/g, x)")).toBe('f(/ g, x)');
    expect(code("a / b; 'c' / d")).toBe("a / b; ' ' / d");
  });

  test('imports of every form', () => {
    const text = [
      "import { a } from './a.ts';",
      "export * from './b.ts';",
      "import './c.ts';",
      "await import('./d.ts');",
      "new URL('./e.js', import.meta.url);",
      "createRequire(import.meta.url)('f');",
      "import {\n  g,\n} from './g.ts';",
      "// import './h.ts';",
    ].join('\n');
    expect(importsOf(text).map((found) => found.specifier)).toEqual([
      './a.ts',
      './b.ts',
      './c.ts',
      './d.ts',
      './e.js',
      'f',
      './g.ts',
    ]);
  });
});
