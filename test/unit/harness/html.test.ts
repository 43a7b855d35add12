// SPDX-License-Identifier: GPL-2.0-only
/** The page of a failure: complete, self-contained, and safe whatever the failure says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { escapeHtml } from '../../../dist/src/harness/html.js';
import { exploreReport } from '../../../dist/src/harness/index.js';

const dir = mkdtempSync(join(tmpdir(), 'kreclaim-html-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const fixture = (name: string) => new URL(`../../fixtures/explore/${name}.mjs`, import.meta.url);
const page = async (scenario: URL | string) => {
  const html = join(dir, 'failure.html');
  const { failure } = await exploreReport(scenario, { html, replayDir: dir });
  return { failure, text: readFileSync(html, 'utf8') };
};

describe('the page of a failure', () => {
  it('says what the text says', async () => {
    const { failure, text } = await page(fixture('abba'));
    expect(text).toMatch(/<title>\S+abba\.mjs: deadlock: no thread can go on<\/title>/);
    for (const word of [failure?.facts[0], failure?.replayLine, failure?.threads[0]?.doing]) {
      expect(text).toContain(escapeHtml(word as string));
    }
    const rows = failure?.listing.filter((entry) => 'text' in entry) ?? [];
    expect(text.match(/<td class="op"/g)).toHaveLength(rows.length);
    expect(text).toMatch(/<tr class="switch">/);
    expect(text).toMatch(/prefers-color-scheme:dark/);
  });

  it('shows the stack of a step, asks for nothing, and is small', async () => {
    const { text } = await page(fixture('long_run'));
    expect(text).toMatch(/<div>at work \(\S+long_run\.mjs:\d+:\d+\)\nat /);
    expect(text).not.toMatch(/<script|<link|<img|@import|url\(|https?:/);
    expect(text.length).toBeLessThan(1e6);
    const open = text.match(/<(td|tr|div|dl|table)\b/g) ?? [];
    expect(text.match(/<\/(td|tr|div|dl|table)>/g)).toHaveLength(open.length);
  });

  it('keeps what a failure says from becoming part of it', async () => {
    const file = join(dir, 'evil.mjs');
    const body = 'export function a() {}\nexport function b() {}\nexport function check() {\n';
    writeFileSync(file, `${body}  throw new Error('<script>alert(1)</script> & "more"');\n}\n`);
    const { text } = await page(file);
    expect(text).not.toMatch(/<script/);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;');
  });

  it('is not written when nothing fails', async () => {
    const html = join(dir, 'none.html');
    await exploreReport(fixture('correct'), { html });
    expect(() => readFileSync(html)).toThrow(/ENOENT/);
  });
});
