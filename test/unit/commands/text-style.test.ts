import { describe, expect, it } from 'vitest';
import { dim, fold } from '../../../src/commands/text-style.ts';

describe('dim', () => {
  it('is for terminals that know how', () => {
    expect(dim('x', { isTTY: true }, { TERM: 'xterm' })).toBe('\u001b[2mx\u001b[22m');
    expect(dim('x', {}, {})).toBe('x');
    expect(dim('x', { isTTY: true }, { NO_COLOR: '1' })).toBe('x');
    expect(dim('x', { isTTY: true }, { TERM: 'dumb' })).toBe('x');
  });
});

describe('fold', () => {
  it.each([
    ['a · b · c', 80, ['a · b · c']],
    ['aaaa · bbbb · cc', 11, ['aaaa · bbbb', 'cc']],
    ['aaaa · bbbb · cc', 5, ['aaaa', 'bbbb', 'cc']],
    ['too long for it · b', 5, ['too long for it', 'b']],
    ['', 80, ['']],
  ])('%j at %i columns', (text, columns, lines) => {
    expect(fold(text, columns)).toEqual(lines);
  });
});
