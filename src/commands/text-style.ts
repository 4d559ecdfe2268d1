/** Where text goes, as far as its looks depend on it. */
export interface StyledOutput {
  isTTY?: boolean | undefined;
}

/** Dimmed on a terminal that knows how; plain in files, pipes, dumb terminals and under NO_COLOR. Pure. */
export function dim(text: string, output: StyledOutput, env: NodeJS.ProcessEnv): string {
  const plain = output.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return plain ? text : `\u001b[2m${text}\u001b[22m`;
}

/** Parts joined by ` · `, broken between them where a terminal would break inside of one. Pure. */
export function fold(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const part of text.split(' · ')) {
    const longer = lines.length === 0 ? part : `${lines.at(-1)} · ${part}`;
    if (lines.length > 0 && longer.length > columns) lines.push(part);
    else lines.splice(-1, 1, longer);
  }
  return lines;
}
