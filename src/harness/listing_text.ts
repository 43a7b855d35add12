// SPDX-License-Identifier: MIT
/** A space-time listing as lines of text: see listing.ts. */
import type { Entry, Row } from './listing.ts';
import { shownPlace } from './stack_frames.ts';

/** Columns of threads together, at most; beyond, each thread is indented a little more. */
const COLUMNS_MAX = 96;
const INDENT = 3;
const SOURCE_MAX = 60;
const GAP = '  ';

function isRow(entry: Entry): entry is Row {
  return 'text' in entry;
}

/** Where a row happened: the innermost place, and the scenario's own line when that is another. */
export function rowPlace(row: Row, scenario: string): string {
  const [inner] = row.frames;
  if (inner === undefined) return '';
  const own = row.frames.find((frame) => frame.file === scenario);
  if (own === undefined || own === inner) return shownPlace(inner);
  return `${shownPlace(inner)} < :${own.line}`;
}

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max - 3)}...` : text;
}

/**
 * @param names of the threads, by number @param scenario path of its file
 * @returns lines without line ends
 */
export function listingLines(
  entries: readonly Entry[],
  names: readonly string[],
  scenario: string,
): string[] {
  const rows = entries.filter(isRow);
  const widths = names.map((name, t) => {
    return Math.max(name.length, ...rows.filter((r) => r.thread === t).map((r) => r.text.length));
  });
  const wide = widths.reduce((sum, width) => sum + width + GAP.length, 0) > COLUMNS_MAX;
  const digits = Math.max(4, String(rows.at(-1)?.step ?? 0).length);
  const cells = (thread: number, text: string): string => {
    if (wide) return `${' '.repeat(INDENT * thread)}${names[thread]}: ${text}`;
    return widths.map((width, t) => (t === thread ? text : '').padEnd(width)).join(GAP);
  };
  const body = rows.map((row) => cells(row.thread, row.text));
  const cellsWidth = Math.max(0, ...body.map((text) => text.length));
  const places = rows.map((row) => rowPlace(row, scenario));
  const placeWidth = Math.max(2, ...places.map((place) => place.length));
  const line = (step: string, mark: string, text: string, place: string, source: string): string =>
    `${step.padStart(digits)} ${mark} ${text.padEnd(cellsWidth)}${GAP}${place.padEnd(placeWidth)}` +
    `${GAP}${cut(source, SOURCE_MAX)}`;
  const title = wide ? '' : names.map((name, t) => name.padEnd(widths[t] as number)).join(GAP);
  const lines = [line('step', ' ', title, 'at', '').trimEnd()];
  let index = 0;
  for (const entry of entries) {
    if (!isRow(entry)) {
      lines.push(`${' '.repeat(digits)}   ... ${entry.note}`);
      continue;
    }
    const mark = entry.switched ? '>' : ' ';
    const text = body[index] as string;
    const place = places[index] as string;
    lines.push(line(String(entry.step), mark, text, place, entry.source).trimEnd());
    index++;
  }
  return lines;
}
