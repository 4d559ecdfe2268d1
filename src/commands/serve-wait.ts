import { formatDuration, parseDuration } from '../base/duration.ts';
import { DynamoError } from '../base/errors.ts';
import { drawingTerminal } from './copy-display.ts';
import type { ServeFlags } from './serve-flags.ts';
import type { ServeOutput } from './serve-output.ts';
import { FreeWait } from './wait-for-free.ts';
import { waitLine } from './wait-line.ts';

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
    ...(!flags.json && { onTick: waitLine(drawingTerminal(process.env)) }),
    random: Math.random,
  });
}
