// SPDX-License-Identifier: MIT
/** A failure as one self-contained page. */
import type { ExploreReport } from './explore_report.ts';

/** @returns the page */
export function failurePage(report: ExploreReport): string {
  return `<!doctype html><pre>${report.failure?.text ?? ''}</pre>`;
}
