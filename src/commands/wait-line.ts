import { formatDuration } from '../base/duration.ts';

const ERASE_LINE = '\u001b[2K';

/** A last line that counts how long it was waited, on a terminal; null takes it away again. Without a terminal: nothing. */
export function waitLine(terminal: Pick<NodeJS.WriteStream, 'write'> | undefined): (waitedMs: number | null) => void {
  let isDrawn = false;
  return (waitedMs) => {
    if (!terminal || (waitedMs === null && !isDrawn)) return;
    isDrawn = waitedMs !== null;
    terminal.write(`\r${ERASE_LINE}${waitedMs === null ? '' : `waited ${formatDuration(waitedMs)}; Ctrl-C gives up`}`);
  };
}
