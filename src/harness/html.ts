// SPDX-License-Identifier: MIT
/**
 * A failure as one page that needs nothing else: no script, no request, light and dark as the
 * reader's system is. Time goes down, each thread has its column, a context switch has a line above
 * it; a step that is pointed at, or reached with the tab key, shows its stack.
 */
import type { ExploreFailure, ExploreReport } from './explore_report.ts';
import type { Entry, Row } from './listing.ts';
import { rowPlace } from './listing_text.ts';
import { shownPath, shownStack } from './stack_frames.ts';

const STYLE = `
:root{color-scheme:light dark;--ink:#1c1e21;--dim:#6a7078;--paper:#fff;--rule:#d8dce1;
--bad:#b3261e;--mark:#eef3fb;--tip:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e4e6ea;--dim:#979da6;--paper:#16181c;
--rule:#33373e;--bad:#ff8a80;--mark:#1f2530;--tip:#22262d}}
body{margin:2rem auto;max-width:90rem;padding:0 1.5rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.3rem;color:var(--bad);margin:0 0 .3rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}
.dim{color:var(--dim)}code,pre,table{font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}
pre{margin:.2rem 0;white-space:pre-wrap}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{text-align:left;position:sticky;top:0;background:var(--paper)}
th,td{padding:.12rem .7rem;vertical-align:top;white-space:nowrap}
td.n{text-align:right;color:var(--dim)}tr.switch td{border-top:1px solid var(--rule)}
tr.note td{color:var(--dim);font-style:italic;white-space:normal}
td.op{position:relative;background:var(--mark)}td.src{color:var(--dim)}
td.op>div{display:none;position:absolute;left:1rem;top:1.6rem;z-index:1;padding:.5rem .8rem;
background:var(--tip);border:1px solid var(--rule);border-radius:4px;
box-shadow:0 4px 14px #0003;white-space:pre}
td.op:hover>div,td.op:focus>div{display:block}td.op:hover,td.op:focus{outline:1px solid var(--dim)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}dt{font-weight:600}
dd{margin:0}.replay{padding:.6rem .9rem;background:var(--mark);border-radius:4px}
`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand anywhere in a page. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] as string);
}

/** @returns the page, for a report with a failure */
export function failurePage(report: ExploreReport): string {
  const failure = report.failure as ExploreFailure;
  const title = escapeHtml(`${shownPath(report.scenario)}: ${failure.title}`);
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>${title}</title><style>${STYLE}</style></head><body>`,
    `<h1>${title}</h1>`,
    ...failure.facts.map((fact) => `<p>${escapeHtml(fact)}</p>`),
    failure.stack.length > 0 ? `<pre>${escapeHtml(failure.stack.join('\n'))}</pre>` : '',
    `<p class="dim">${escapeHtml(figures(failure))}</p>`,
    replayPart(failure),
    '<h2>Threads</h2>',
    threadsPart(failure),
    '<h2>Steps</h2>',
    `<div class="wide">${tablePart(failure.listing, report)}</div>`,
    '</body></html>\n',
  ].join('\n');
}

function figures({ steps, switches, found, shrink, strategy, seed }: ExploreFailure): string {
  const from = shrink === null ? '' : `; found with ${found.steps} and ${found.switches}`;
  return (
    `${steps} steps, ${switches} context switches${from}; ` + `strategy ${strategy}, seed ${seed}`
  );
}

function replayPart({ replayLine }: ExploreFailure): string {
  if (replayLine === null) return '';
  return `<p class="replay"><code>${escapeHtml(replayLine)}</code></p>`;
}

function threadsPart({ threads }: ExploreFailure): string {
  const items = threads.map(({ name, doing, frames }) => {
    const stack =
      frames.length > 0 ? `<pre>${escapeHtml(shownStack(frames).join('\n'))}</pre>` : '';
    return `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(doing)}${stack}</dd>`;
  });
  return `<dl>${items.join('\n')}</dl>`;
}

function tablePart(entries: readonly Entry[], report: ExploreReport): string {
  const { threads, scenario } = report;
  const heads = ['step', ...threads, 'at', ''].map((name) => `<th>${escapeHtml(name)}</th>`);
  const body = entries.map((entry) => {
    if (!('text' in entry)) {
      const cells = `<td></td><td colspan="${threads.length + 2}">${escapeHtml(entry.note)}</td>`;
      return `<tr class="note">${cells}</tr>`;
    }
    return rowPart(entry, threads, scenario);
  });
  const head = `<thead><tr>${heads.join('')}</tr></thead>`;
  return `<table>${head}<tbody>\n${body.join('\n')}\n</tbody></table>`;
}

function rowPart(row: Row, threads: readonly string[], scenario: string): string {
  const stack = shownStack(row.frames).join('\n');
  const tip = stack === '' ? '' : `<div>${escapeHtml(stack)}</div>`;
  const cells = threads.map((_, t) =>
    t === row.thread
      ? `<td class="op" tabindex="0">${escapeHtml(row.text)}${tip}</td>`
      : '<td></td>',
  );
  const place = escapeHtml(rowPlace(row, scenario));
  const source = escapeHtml(row.source.slice(0, 120));
  return (
    `<tr${row.switched ? ' class="switch"' : ''}><td class="n">${row.step}</td>${cells.join('')}` +
    `<td class="src">${place}</td><td class="src">${source}</td></tr>`
  );
}
