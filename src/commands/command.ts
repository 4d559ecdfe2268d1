import type { Command } from 'commander';

/** One command of the program. `define` adds arguments, options and an action that imports the implementation when it runs. */
export interface CommandEntry {
  name: string;
  summary: string;
  /** Not in `--help`: processes that dynamo starts itself. */
  hidden?: boolean;
  /** Shown under the help text, one command line each, without the prompt. */
  example?: string[];
  define(command: Command): void;
}
