/** Where a command runs. */
export interface TerminalFacts {
  stdinIsTty: boolean;
  stdoutIsTty: boolean;
  /** `TERM` of the environment. */
  term: string | undefined;
}

/** Whether the full-screen view is shown: on a real terminal, unless lines or JSON are asked for. Pure. */
export function wantsScreen(
  flags: { tui?: boolean; json?: boolean; detach?: boolean },
  terminal: TerminalFacts,
): boolean {
  if (flags.tui === false || flags.json || flags.detach) return false;
  return terminal.stdinIsTty && terminal.stdoutIsTty && terminal.term !== 'dumb';
}

/** The terminal of this process. */
export function thisTerminal(): TerminalFacts {
  return {
    stdinIsTty: process.stdin.isTTY === true,
    stdoutIsTty: process.stdout.isTTY === true,
    term: process.env['TERM'],
  };
}
