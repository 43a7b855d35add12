// SPDX-License-Identifier: GPL-2.0-only
/**
 * A flame graph as one page that needs nothing else, and the same as folded stacks, for other
 * people's tools.
 *
 * Callers stand above what they call; the width is the share of samples on a core. A click, or the
 * enter key, makes a frame as wide as the page; the same on a frame above it goes back. Frames
 * narrower than a thousandth are left out, as blank space.
 */
import { escapeHtml } from '../harness/html.ts';
import { type CallNode, samplesOf } from './call_tree.ts';
import { kernelName } from './kernel_names.ts';

const STYLE = `
:root{color-scheme:light dark;--ink:#1c1e21;--dim:#6a7078;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e4e6ea;--dim:#979da6;--paper:#16181c}}
body{margin:1.2rem;background:var(--paper);color:var(--ink);font:15px/1.4 system-ui,sans-serif}
h1{font-size:1.15rem;margin:0}p{margin:.2rem 0 .8rem;color:var(--dim)}
#note{min-height:1.4em;color:var(--ink)}
.f{min-width:0;overflow:hidden}.c{display:flex}
.f>b{display:block;height:19px;margin:0 1px 1px 0;padding:0 3px;border-radius:2px;cursor:pointer;
font:12px/19px ui-monospace,Menlo,Consolas,monospace;white-space:nowrap;overflow:hidden;
color:#1c1e21;background:hsl(var(--h) 78% 68%)}
.f>b:hover,.f>b:focus{background:hsl(var(--h) 78% 82%);outline:0}
.up>b{opacity:.55}.off{display:none}
`;

/** Shows who is pointed at; widens who is chosen. */
const SCRIPT = `
const note=document.getElementById('note'),all=document.querySelectorAll('.f');
const tell=(e)=>{const b=e.target.closest('.f>b');note.textContent=b?b.title:''};
const widen=(f)=>{for(const g of all){g.classList.remove('up');
g.classList.toggle('off',!(f.contains(g)||g.contains(f)))}
for(let g=f.parentElement.closest('.f');g;g=g.parentElement.closest('.f'))g.classList.add('up');
for(const i of document.querySelectorAll('i'))i.hidden=!f.contains(i)};
const choose=(e)=>{const b=e.target.closest('.f>b');
if(b&&(e.type==='click'||e.key==='Enter'))widen(b.parentElement)};
addEventListener('mouseover',tell);addEventListener('focusin',tell);
addEventListener('click',choose);addEventListener('keydown',choose);
`;

/** Frames narrower than this part of all are left out. */
const NARROWEST = 0.001;

function titleOf(node: CallNode): string {
  const kernel = kernelName(node.name, node.url);
  return kernel === null ? node.name : `${node.name} (${kernel})`;
}

function placeOf(node: CallNode): string {
  return node.url === '' ? '' : ` ${node.url.slice(node.url.lastIndexOf('/') + 1)}:${node.line}`;
}

/** Warm colours for what the kernel has too, cold ones for what is ours or V8's alone. */
function hueOf(node: CallNode): number {
  let hash = 0;
  for (const char of node.name) hash = (hash * 31 + char.charCodeAt(0)) % 997;
  const own = kernelName(node.name, node.url) === null;
  return (own ? 190 : 8) + (hash % 40);
}

function framePart(node: CallNode, total: number): string {
  const samples = samplesOf(node);
  if (samples < total * NARROWEST) return '';
  const percent = (100 * samples) / total;
  const own = ((100 * node.self) / total).toFixed(2);
  const title = titleOf(node);
  const tip = `${title}${placeOf(node)}: ${percent.toFixed(2)} %, itself ${own} %`;
  const children = [...node.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const parts = children.map((child) => framePart(child, total));
  const shown = children.reduce((sum, c, i) => sum + (parts[i] === '' ? 0 : samplesOf(c)), 0);
  const rest = `<i style="flex:${samples - shown} 0 0"></i>`;
  const below = parts.some((part) => part !== '');
  return (
    `<div class="f" style="--h:${hueOf(node)};flex:${samples} 0 0">` +
    `<b tabindex="0" title="${escapeHtml(tip)}">${escapeHtml(title)}</b>` +
    `${below ? `<div class="c">${parts.join('')}${rest}</div>` : ''}</div>`
  );
}

/**
 * @param root merged profiles @param title of the page @param remark what was run, and how
 * @returns the page
 */
export function flamePage(root: CallNode, title: string, remark: string): string {
  const total = samplesOf(root);
  const heading = escapeHtml(title);
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>${heading}</title><style>${STYLE}</style></head><body>`,
    `<h1>${heading}</h1><p>${escapeHtml(remark)}</p><div id="note"></div>`,
    total === 0 ? '<p>no sample on a core</p>' : framePart(root, total),
    `<script>${SCRIPT}</script></body></html>\n`,
  ].join('\n');
}

/** One line a stack: frames from the outermost, `;` between them, then its samples. */
export function foldedStacks(root: CallNode): string {
  const lines: string[] = [];
  const clean = (text: string): string => text.replace(/[;\s]+/g, '_');
  const visit = (node: CallNode, path: string): void => {
    if (node.self > 0) lines.push(`${path} ${node.self}`);
    for (const child of node.children.values()) visit(child, `${path};${clean(child.name)}`);
  };
  for (const thread of root.children.values()) visit(thread, clean(thread.name));
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
