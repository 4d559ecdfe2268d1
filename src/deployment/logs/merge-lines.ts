import type { LoggedLine } from './log-history.ts';

/**
 * Puts the lines of several processes in order of arrival. Each input is in order already; a line that nobody saw arrive goes
 * with the line before it.
 */
export async function* mergeLines(inputs: readonly AsyncIterable<LoggedLine>[]): AsyncGenerator<LoggedLine> {
  const heads = await Promise.all(inputs.map((input) => next(input[Symbol.asyncIterator](), 0)));
  let left = heads.filter((head) => head !== undefined);
  while (left.length > 0) {
    let first = left[0]!;
    for (const head of left) if (head.time < first.time) first = head;
    yield first.line;
    const following = await next(first.lines, first.time);
    if (following) left[left.indexOf(first)] = following;
    else left = left.filter((head) => head !== first);
  }
}

interface Head {
  lines: AsyncIterator<LoggedLine>;
  line: LoggedLine;
  /** Never before that of the line before it. */
  time: number;
}

async function next(lines: AsyncIterator<LoggedLine>, notBefore: number): Promise<Head | undefined> {
  const result = await lines.next();
  if (result.done) return undefined;
  const { arrival } = result.value;
  // What arrived at some time in an interval is shown where it may have begun.
  const time = Math.max(notBefore, arrival ? (arrival.from ?? arrival.at) : notBefore);
  return { lines, line: result.value, time };
}
