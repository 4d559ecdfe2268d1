import { once } from 'node:events';
import type { LoggedLine } from '../deployment/logs/log-history.ts';
import { cleanText } from '../tui/text/clean-text.ts';

export type Print = (lines: readonly LoggedLine[]) => Promise<void>;

/** One JSON object a line: `{process, at, from, line}`, see docs/json-output.md. */
export const printJson: Print = (lines) =>
  write(
    lines.map(({ process, text, arrival }) =>
      JSON.stringify({ process, at: iso(arrival?.at), from: iso(arrival?.from), line: text }),
    ),
  );

/** `process | line`. On a terminal control characters are left out: what a process wrote must not move the cursor. */
export function printText(options: { width: number; timestamps: boolean; terminal: boolean }): Print {
  return (lines) =>
    write(
      lines.map(({ process, text, arrival }) => {
        const name = options.width === 0 ? '' : `${process.padEnd(options.width)} | `;
        const time = arrival
          ? `${iso(arrival.from ?? arrival.at)}${arrival.from === null ? ' ' : '~'}`
          : '-'.padEnd(25);
        return `${options.timestamps ? `${time} ` : ''}${name}${options.terminal ? cleanText(text) : text}`;
      }),
    );
}

function iso(time: number | null | undefined): string | null {
  return time === null || time === undefined ? null : new Date(time).toISOString();
}

/** Waits while the reader is slow: a log may be far larger than memory. A reader that has gone ends the process (cli.ts). */
async function write(lines: readonly string[]): Promise<void> {
  if (lines.length > 0 && !process.stdout.write(`${lines.join('\n')}\n`)) await once(process.stdout, 'drain');
}
