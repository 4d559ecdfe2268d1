import { agentCommand } from './agent.ts';
import { bridgeCommand } from './bridge.ts';
import type { CommandEntry } from './command.ts';
import { frontendCommand } from './frontend.ts';
import { mockerCommand } from './mocker.ts';
import { recordsCommand } from './records.ts';

/** What the kit for remote hosts can do; its build puts this list in the place of the whole one. */
export const COMMANDS: readonly CommandEntry[] = [
  agentCommand,
  frontendCommand,
  mockerCommand,
  bridgeCommand,
  recordsCommand,
];
