import { formatDuration, parseDuration } from '../base/duration.ts';
import { DynamoError } from '../base/errors.ts';
import { drawingTerminal } from './copy-display.ts';
import type { ServeFlags } from './serve-flags.ts';
import type { ServeOutput } from './serve-output.ts';
import { FreeWait } from './wait-for-free.ts';

const ERASE_LINE = '\u001b[2K';

/** `--wait`, with what it tells. Throws `USAGE`. */
export function freeWait(flags: ServeFlags, output: ServeOutput): FreeWait | undefined {
  const { wait } = flags;
  if (wait === undefined) return undefined;
  const durationMs = wait === true ? null : parseDuration(wait);
  if (durationMs === undefined)
    throw new DynamoError('USAGE', `--wait wants a duration, not ${wait}`, {
      hint: 'Such as `--wait=30m`; without one, `--wait` goes after the recipe.',
    });
  return new FreeWait({
    durationMs,
    onWaiting: (obstacles, waitedMs) => output.waiting(obstacles, waitedMs),
    onFree: (waitedMs) => output.say(`all is free after ${formatDuration(waitedMs)}: starting`),
    ...(!flags.json && { onTick: countOn(drawingTerminal(process.env)) }),
    random: Math.random,
  });
}

/** A last line that counts, on a terminal. */
function countOn(terminal: NodeJS.WriteStream | undefined): (waitedMs: number | null) => void {
  let isDrawn = false;
  return (waitedMs) => {
    if (!terminal || (waitedMs === null && !isDrawn)) return;
    isDrawn = waitedMs !== null;
    terminal.write(`\r${ERASE_LINE}${waitedMs === null ? '' : `waited ${formatDuration(waitedMs)}; Ctrl-C gives up`}`);
  };
}
