import { describe, expect, it } from 'vitest';
import { cleanText } from '../../../../src/tui/text/clean-text.ts';
import { fitColumns } from '../../../../src/tui/text/fit-columns.ts';
import { formatAge, formatCount, formatSeconds, formatShare } from '../../../../src/tui/text/format.ts';
import { ASCII, glyphsFor, UNICODE } from '../../../../src/tui/text/glyphs.ts';
import { fold, logText } from '../../../../src/tui/text/log-text.ts';
import { barRows, sparkline } from '../../../../src/tui/text/sparkline.ts';
import { clip, displayWidth, pad } from '../../../../src/tui/text/width.ts';

describe('sparkline', () => {
  it('scales to the highest, shows zero and leaves out what is not known', () => {
    expect(sparkline([0, 1, null, 8], 4, UNICODE.bars)).toBe('▁▁ █');
    expect(sparkline([1, 2], 4, UNICODE.bars)).toBe('  ▄█');
    expect(sparkline([9, 9, 1, 8], 2, UNICODE.bars)).toBe('▁█');
    expect(sparkline([], 3, UNICODE.bars)).toBe('   ');
    expect(sparkline([5], 0, UNICODE.bars)).toBe('');
    expect(sparkline([1, 8], 2, ASCII.bars)).toBe('.#');
  });

  it('grows over several rows', () => {
    expect(barRows([0, 8, 16], 3, 2, UNICODE.bars)).toEqual(['  █', '▁██']);
  });
});

describe('widths', () => {
  it('counts cells, not characters', () => {
    expect(displayWidth('abc')).toBe(3);
    expect(displayWidth('模型')).toBe(4);
    expect(displayWidth('e\u0301')).toBe(1);
    expect(displayWidth('🚀')).toBe(2);
  });

  it('clips and pads to exactly the cells there are', () => {
    expect(clip('abcdef', 4, '…')).toBe('abc…');
    expect(clip('模型模型', 4, '…')).toBe('模…');
    expect(clip('abc', 0, '…')).toBe('');
    expect(pad('ab', 4, 'right', '…')).toBe('  ab');
    expect(displayWidth(pad('模型模型', 4, 'left', '…'))).toBe(4);
  });
});

describe('cleanText', () => {
  it('takes escape sequences and control characters out, and keeps what was written last on a line', () => {
    expect(cleanText('\u001b[31mred\u001b[0m\u0007')).toBe('red');
    expect(cleanText('10 %\r50 %\r')).toBe('50 %');
    expect(cleanText('a\tb\u0000c')).toBe('a    bc');
    expect(cleanText('naïve 模型')).toBe('naïve 模型');
  });
});

describe('logText', () => {
  it('makes our JSON readable and leaves anything else alone', () => {
    const line =
      '{"level":"warn","time":"2026-11-21T08:30:18.813Z","process":"frontend","msg":"slow","ms":12,"why":"x y"}';
    expect(logText(line)).toMatch(/^\d\d:\d\d:\d\d warn slow ms=12 why=x y$/);
    expect(logText('{"level":"warn", cut')).toBe('{"level":"warn", cut');
    expect(logText('INFO plain')).toBe('INFO plain');
  });

  it('folds', () => {
    expect(fold('abcdef', 4)).toEqual(['abcd', 'ef']);
    expect(fold('', 4)).toEqual(['']);
  });
});

describe('fitColumns', () => {
  const columns = [
    { key: 'a', width: 10, priority: 0 },
    { key: 'b', width: 10, priority: 2 },
    { key: 'c', width: 10, priority: 1, grows: true },
  ];
  it('drops the least important first and gives what is left to the one that grows', () => {
    expect([...fitColumns(columns, 40)]).toEqual([
      ['a', 10],
      ['b', 10],
      ['c', 16],
    ]);
    expect([...fitColumns(columns, 30)]).toEqual([
      ['a', 10],
      ['c', 18],
    ]);
    expect([...fitColumns(columns, 5)]).toEqual([['a', 10]]);
  });
});

describe('formats', () => {
  it.each([
    [8_900, '8s'],
    [185_000, '3m05s'],
    [8_040_000, '2h14m'],
    [97_200_000, '1d03h'],
    [-5, '0s'],
  ])('age %i', (ms, text) => expect(formatAge(ms)).toBe(text));

  it.each([
    [0, '0'],
    [0.4, '0.4'],
    [12.3, '12'],
    [999.6, '1.0k'],
    [9_960, '10k'],
    [340_000, '340k'],
    [1_200_000, '1.2M'],
  ])('count %f', (value, text) => expect(formatCount(value)).toBe(text));

  it.each([
    [0.0004, '0.4 ms'],
    [0.035, '35 ms'],
    [1.25, '1.25 s'],
    [42, '42 s'],
  ])('seconds %f', (value, text) => expect(formatSeconds(value)).toBe(text));

  it('share', () => {
    expect([0, 0.001, 0.37, 1].map(formatShare)).toEqual(['0%', '<1%', '37%', '100%']);
  });
});

describe('glyphsFor', () => {
  it.each([
    [{ LANG: 'en_US.UTF-8' }, UNICODE],
    [{ LANG: 'en_US.UTF-8', LC_ALL: 'C' }, ASCII],
    [{ LC_CTYPE: 'C.utf8' }, UNICODE],
    [{}, ASCII],
  ])('%o', (env, glyphs) => expect(glyphsFor(env, 'linux')).toBe(glyphs));
});
