/** What the probe printed: lines by section. `complete` is false when its end is missing. */
export interface ProbeOutput {
  complete: boolean;
  lines(section: string): string[];
  /** Whether the section was printed at all, empty or not. */
  has(section: string): boolean;
}

const MARK = /^@@([a-z-]+)$/;

/** Splits the probe's output. What stands before the first mark (a banner) belongs to nothing. */
export function readSections(text: string): ProbeOutput {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/\r$/, '');
    const name = MARK.exec(line)?.[1];
    if (name === undefined) {
      if (line.trim() !== '') current.push(line);
    } else {
      current = sections.get(name) ?? [];
      sections.set(name, current);
    }
  }
  return {
    complete: sections.has('done'),
    lines: (section) => sections.get(section) ?? [],
    has: (section) => sections.has(section),
  };
}
