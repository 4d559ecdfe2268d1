import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { drawScreen } from '../../helpers/draw-screen.tsx';
import { hundredProcesses, recordedSnapshot, severalHosts, viewOf } from '../../helpers/recorded-view.ts';

vi.setConfig({ testTimeout: 120_000 });

vi.hoisted(() => {
  process.env['FORCE_COLOR'] = '1';
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
const COLOR = /\u001b\[[349][0-7]m/;
const views = [
  ...(['starting', 'loading', 'proving', 'ready', 'degraded', 'crashed', 'failed', 'unattended'] as const).map((name) =>
    viewOf(recordedSnapshot(name)),
  ),
  viewOf(hundredProcesses()),
  viewOf(severalHosts()),
];

describe('colour', () => {
  it.each([60, 80, 120])('adds nothing and takes nothing away at %i columns', (columns) => {
    for (const view of views) {
      const colored = drawScreen(view, { columns });
      const plain = drawScreen(view, { columns, theme: { color: false } });
      expect(colored).toMatch(COLOR);
      expect(plain).not.toMatch(COLOR);
      expect(trimmed(colored)).toBe(trimmed(plain));
    }
  });

  it('leaves weight and the marked row without colour', () => {
    const plain = drawScreen(views[3]!, { theme: { color: false } });
    expect(plain).toContain('\u001b[7m'); // inverse
    expect(plain).toContain('\u001b[1m'); // bold
  });
});

const trimmed = (text: string) =>
  stripVTControlCharacters(text)
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
