import { benchCommand } from './bench.ts';
import type { CommandEntry } from './command.ts';

/** Every command, in the order of `dynamo --help`. Registration is this list and nothing else. */
export const COMMANDS: readonly CommandEntry[] = [benchCommand];
