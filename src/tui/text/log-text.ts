import { cleanText } from './clean-text.ts';
import { formatClock } from './format.ts';

/** Fields of our own logs that the screen tells already. */
const KNOWN = new Set(['level', 'time', 'msg', 'process', 'deployment', 'pid', 'hostname']);

/** A log line for people: our JSON as `time level message key=value …`, anything else as it is, safe to draw. */
export function logText(line: string): string {
  if (!line.startsWith('{"level":')) return cleanText(line);
  try {
    const fields = JSON.parse(line) as Record<string, unknown>;
    const time = typeof fields['time'] === 'string' ? `${formatClock(fields['time'])} ` : '';
    const rest = Object.entries(fields).flatMap(([key, value]) => (KNOWN.has(key) ? [] : [`${key}=${plain(value)}`]));
    return cleanText([`${time}${String(fields['level'])}`, String(fields['msg'] ?? ''), ...rest].join(' '));
  } catch {
    return cleanText(line); // cut off
  }
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A text in pieces of at most `width` characters. */
export function fold(text: string, width: number): string[] {
  const chars = [...text];
  const pieces: string[] = [];
  for (let from = 0; from < chars.length || from === 0; from += width)
    pieces.push(chars.slice(from, from + width).join(''));
  return pieces;
}
