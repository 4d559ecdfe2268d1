import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error a plain script without types
import { drawSvg, readLine } from '../../../scripts/screen-svg.mjs';

const root = path.resolve(import.meta.dirname, '../../..');
const draw = drawSvg as (frames: { ms: number; lines: string[] }[], size: object) => string;

describe('a recorded screen as SVG', () => {
  it('reads colours, bold, dim and inverse', () => {
    expect(
      (readLine as (line: string) => object[])('a\u001b[1;32mb\u001b[0mc\u001b[7md\u001b[27m\u001b[2me\u001b[39;22mf'),
    ).toEqual([
      { text: 'a' },
      { text: 'b', bold: true, color: 32 },
      { text: 'c' },
      { text: 'd', inverse: true },
      { text: 'e', inverse: false, dim: true },
      { text: 'f', inverse: false, bold: false, dim: false, color: undefined },
    ]);
  });

  it('shows each frame for its time, and one where nothing moves', () => {
    const frames = [
      { ms: 250, lines: ['$ a <b> & c'] },
      { ms: 750, lines: ['\u001b[31mred'] },
    ];
    const svg = draw(frames, { columns: 20, rows: 2, still: 1, title: 'two' });
    expect(svg).toContain('$ a &lt;b&gt; &amp; c');
    expect(svg).toContain('<g id="f0" visibility="hidden">');
    expect(svg).toContain('<g id="f1" visibility="visible">');
    expect(svg).toContain('#f1{animation:f1 1000ms step-end infinite}');
    expect(svg).toContain('25%{visibility:visible}');
    expect(svg).toContain('prefers-reduced-motion');
  });
});

describe('what is recorded', () => {
  const svg = readFileSync(path.join(root, 'docs/session.svg'), 'utf8');
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');

  it('tells nothing of the machine it was recorded on', () => {
    expect(svg).not.toMatch(/\/(home|root|tmp|Users|work)\//);
    expect(svg).toMatch(/<\/svg>\n$/);
  });

  it('is in the README as text too, at most 80 columns wide', () => {
    const screen = /<!-- session: npm run docs:record -->\n```text\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    expect(screen).toMatch(/^quickstart {2}READY/);
    for (const line of screen.split('\n')) expect([...line].length).toBeLessThanOrEqual(80);
  });
});
