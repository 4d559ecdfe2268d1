import { agentCommand } from './agent.ts';
import { benchCommand } from './bench.ts';
import type { CommandEntry } from './command.ts';
import { controllerCommand } from './controller.ts';
import { mockerCommand } from './mocker.ts';
import { planCommand } from './plan.ts';
import { recipeCommand } from './recipe.ts';

/** Every command, in the order of `dynamo --help`. Registration is this list and nothing else. */
export const COMMANDS: readonly CommandEntry[] = [
  agentCommand,
  controllerCommand,
  planCommand,
  mockerCommand,
  recipeCommand,
  benchCommand,
];
