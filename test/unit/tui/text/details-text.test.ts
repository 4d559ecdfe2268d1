import { describe, expect, it } from 'vitest';
import { linkLine } from '../../../../src/tui/text/link-line.ts';
import { startPhases } from '../../../../src/tui/text/start-phases.ts';
import { wrapText } from '../../../../src/tui/text/wrap.ts';
import { recordedSnapshot } from '../../../helpers/recorded-view.ts';

describe('wrapText', () => {
  it('breaks between words, and inside a word that is longer than a line', () => {
    expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapText('see /a/very/long/path now', 8)).toEqual(['see', '/a/very/', 'long/pat', 'h now']);
    expect(wrapText('', 8)).toEqual(['']);
    expect(wrapText('日本語', 4)).toEqual(['日本', '語']);
  });
});

describe('startPhases', () => {
  const process = recordedSnapshot('ready').processes[0]!;
  const phases = [
    { phase: 'start', ms: 500 },
    { phase: 'weights', ms: 3_000 },
  ];

  it('goes on counting while it starts, and sums up once it is ready', () => {
    expect(startPhases({ ...process, state: 'starting', startPhases: phases }, 2_000)).toBe(
      'start 500 ms, weights 5.0 s',
    );
    expect(startPhases({ ...process, state: 'ready', startPhases: phases }, 2_000)).toBe(
      '3.5 s: start 500 ms, weights 3.0 s',
    );
  });

  it('says nothing of a start that has no phases', () => {
    const prove = { phase: 'prove', ms: 9 };
    expect(startPhases({ ...process, startPhases: [phases[0]!, prove] }, 0)).toBeUndefined();
    expect(startPhases({ ...process, startPhases: [] }, 0)).toBeUndefined();
  });
});

describe('linkLine', () => {
  it('counts what is up by kind and names what is not', () => {
    const link = { kind: 'rdma' as const, up: true, state: 'active', rateGbps: 400 };
    expect(linkLine([])).toBeNull();
    expect(
      linkLine([
        { ...link, name: 'mlx5_0' },
        { ...link, name: 'mlx5_1' },
        { ...link, name: 'mlx5_2', up: false, state: 'init', rateGbps: null },
        { name: 'eth0', kind: 'ethernet', up: true, state: 'up', rateGbps: null },
      ]),
    ).toBe('links: 2 RDMA up (400 Gb/s), 1 Ethernet up; mlx5_2 init');
  });
});
