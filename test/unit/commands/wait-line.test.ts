import { describe, expect, it } from 'vitest';
import { formatDuration } from '../../../src/base/duration.ts';
import { waitLine } from '../../../src/commands/wait-line.ts';

/** What a terminal shows on its last line: after a return words are written over what is there, and one sequence erases it all. */
function terminal() {
  let line = '';
  let writes = 0;
  const write = (text: string): boolean => {
    writes += 1;
    for (const [index, part] of text.split('\u001b[2K').entries()) {
      if (index > 0) line = '';
      const words = part.replaceAll('\r', '');
      line = `${words}${line.slice(words.length)}`;
    }
    return true;
  };
  return {
    write,
    get line() {
      return line;
    },
    get writes() {
      return writes;
    },
  };
}

describe('the counting line of a wait', () => {
  it('counts in its place, a shorter text leaves nothing of a longer one, and null takes it away', () => {
    const screen = terminal();
    const tell = waitLine(screen);
    tell(999);
    expect(screen.line).toBe('waited 999 ms; Ctrl-C gives up');
    tell(2_000);
    expect(screen.line).toBe(`waited ${formatDuration(2_000)}; Ctrl-C gives up`);
    tell(null);
    expect(screen.line).toBe('');
    tell(90_000);
    expect(screen.line).toMatch(/^waited .*; Ctrl-C gives up$/);
  });

  it('writes nothing where nothing was drawn: the line belongs to somebody else', () => {
    const screen = terminal();
    const tell = waitLine(screen);
    tell(null);
    expect(screen.writes).toBe(0);
    tell(1_000);
    tell(null);
    tell(null);
    expect(screen.writes).toBe(2);
    expect(() => waitLine(undefined)(1_000)).not.toThrow();
  });
});
