/** Where text goes, as far as its looks depend on it. */
export interface StyledOutput {
  isTTY?: boolean | undefined;
}

/** Dimmed on a terminal that knows how; plain in files, pipes, dumb terminals and under NO_COLOR. Pure. */
export function dim(text: string, output: StyledOutput, env: NodeJS.ProcessEnv): string {
  const plain = output.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return plain ? text : `\u001b[2m${text}\u001b[22m`;
}
