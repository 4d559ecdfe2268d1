import { describe, expect, it } from 'vitest';
import { findUnlike, readShown, ShownOutputs } from '../../helpers/shown-outputs.ts';

const page = `# Page
## It dies
\`\`\`text
demo: degraded
…
decode-1 ended at 2026-11-21T07:57:13.909Z: killed; restart 1 of 8
\`\`\`
\`\`\`sh
not an output
\`\`\`
## Again
\`\`\`console
$ dynamo stop demo
demo is stopped
\`\`\`
`;

describe('outputs that a page shows', () => {
  it('are found by heading, with their commands, each once', () => {
    expect(readShown(page).map(({ heading, at }) => `${heading}, ${at}`)).toEqual(['It dies, 0', 'Again, 0']);
    const shown = new ShownOutputs(page);
    expect(shown.take('Again')).toEqual({ commands: ['dynamo stop demo'], lines: ['demo is stopped'] });
    expect(shown.left()).toEqual(['It dies, 0']);
    expect(() => shown.take('Again')).toThrow('was taken already');
  });

  const [block] = readShown(page);
  const printed = (...middle: string[]) => ['before', 'demo:   degraded', ...middle, 'after'];
  const ended = 'decode-1 ended at 2027-01-01T00:00:00.1Z: killed; restart 3 of 8';

  it('fit whatever the numbers, times and columns, with other lines where … stands', () => {
    expect(findUnlike(block!.lines, printed(ended))).toBeUndefined();
    expect(findUnlike(block!.lines, printed('one', 'two', ended))).toBeUndefined();
    expect(findUnlike(['took 3 s: …, 5 MiB'], ['took 1 min 07 s: a word, 38.2 MiB'])).toBeUndefined();
  });

  it.each([
    ['a line is missing', printed('decode-1 started')],
    ['a word is another', printed(ended.replace('killed', 'ended'))],
    ['a worker is another', printed(ended.replace('decode-1', 'decode-2'))],
    ['the order is another', [ended, 'demo: degraded']],
    ['nothing was printed', []],
  ])('do not fit where %s', (_what, lines) => {
    expect(findUnlike(block!.lines, lines)).toContain('the page says: ');
  });

  it('do not fit where a line comes between two that stand together', () => {
    expect(findUnlike(['a', 'b'], ['a', 'x', 'b'])).toContain('the page says: b');
  });
});
