// SPDX-License-Identifier: GPL-2.0-only
/** Plain text for people: aligned tables, numbers with separators, durations with units. */

/** Cells of a row: numbers are set right, text left. */
export type Cell = number | string | null;

/** `1,234,567`, or `12.3` with `digits`. */
export function formatNumber(value: number, digits = 0): string {
  const [whole = '0', part] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return part === undefined ? grouped : `${grouped}.${part}`;
}

/** Nanoseconds with three digits and a unit: `950 ns`, `12.3 us`, `1.20 s`. */
export function formatNs(ns: number | null): string {
  if (ns === null) return '-';
  const units = ['ns', 'us', 'ms', 's'];
  let value = ns;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

function cellText(cell: Cell): string {
  if (cell === null) return '-';
  return typeof cell === 'number' ? formatNumber(cell) : cell;
}

/**
 * Aligns rows under a title row.
 * @param left columns that are set left; the others are set right
 * @returns lines, indented by two
 */
export function formatTable(
  title: readonly string[],
  rows: readonly (readonly Cell[])[],
  left: readonly number[] = [0],
): string[] {
  const texts = [title, ...rows.map((row) => row.map(cellText))];
  const widths = title.map((_, column) =>
    Math.max(...texts.map((row) => (row[column] ?? '').length)),
  );
  return texts.map((row) => {
    const cells = row.map((text, column) => {
      const width = widths[column] as number;
      return left.includes(column) ? text.padEnd(width) : text.padStart(width);
    });
    return `  ${cells.join('  ').trimEnd()}`;
  });
}

/** Puts `name value` pairs in columns, read downwards. */
export function formatPairs(pairs: readonly (readonly [string, number])[], columns = 3): string[] {
  const rows = Math.ceil(pairs.length / columns);
  const lines: string[] = [];
  const nameWidth = Math.max(0, ...pairs.map(([name]) => name.length));
  const valueWidth = Math.max(0, ...pairs.map(([, value]) => formatNumber(value).length));
  for (let row = 0; row < rows; row++) {
    const cells: string[] = [];
    for (let at = row; at < pairs.length; at += rows) {
      const [name, value] = pairs[at] as readonly [string, number];
      cells.push(`${name.padEnd(nameWidth)} ${formatNumber(value).padStart(valueWidth)}`);
    }
    lines.push(`  ${cells.join('   ').trimEnd()}`);
  }
  return lines;
}
