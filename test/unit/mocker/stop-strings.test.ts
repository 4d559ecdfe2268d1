import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from '../../../src/mocker/stop-strings.ts';

function run(stops: string[], pieces: string[]): { shown: string; found: string | undefined } {
  const matcher = new StopStrings(stops);
  let shown = '';
  for (const piece of pieces) {
    shown += matcher.push(piece, true);
    if (matcher.found !== undefined) return { shown, found: matcher.found };
  }
  return { shown: shown + matcher.rest(), found: undefined };
}

describe('stop strings', () => {
  it('finds one that is spread over pieces and shows nothing of it', () => {
    expect(run(['\n\nEND'], ['some text\n', '\nE', 'ND and more'])).toEqual({ shown: 'some text', found: '\n\nEND' });
  });

  it('takes the first in the text, whichever was named first', () => {
    expect(run(['later', 'soon'], ['now soon and later'])).toEqual({ shown: 'now ', found: 'soon' });
  });

  it('shows everything when none comes, however it was cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 5 })),
        fc.array(fc.string({ minLength: 1, maxLength: 4 })),
        (pieces, stops) => {
          const text = pieces.join('');
          const hits = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
          const { shown } = run(stops, pieces);
          // With several pieces an earlier-ending stop may win over an earlier-beginning one; text shown is always a prefix.
          expect(text.startsWith(shown)).toBe(true);
          if (hits.length === 0) expect(shown).toBe(text);
        },
      ),
    );
  });

  it('does not look while it must not', () => {
    const matcher = new StopStrings(['x']);
    expect(matcher.push('axb', false)).toBe('axb');
    expect(matcher.found).toBeUndefined();
  });
});
