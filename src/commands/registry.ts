import { agentCommand } from './agent.ts';
import { attachCommand } from './attach.ts';
import { benchCommand } from './bench.ts';
import type { CommandEntry } from './command.ts';
import { controllerCommand } from './controller.ts';
import { drainCommand } from './drain.ts';
import { frontendCommand } from './frontend.ts';
import { logsCommand } from './logs.ts';
import { lsCommand } from './ls.ts';
import { mockerCommand } from './mocker.ts';
import { planCommand } from './plan.ts';
import { recipeCommand } from './recipe.ts';
import { restartCommand } from './restart.ts';
import { serveCommand } from './serve.ts';
import { smokeCommand } from './smoke.ts';
import { statusCommand } from './status.ts';
import { stopCommand } from './stop.ts';

/** Every command, in the order of `dynamo --help`. Registration is this list and nothing else. */
export const COMMANDS: readonly CommandEntry[] = [
  serveCommand,
  statusCommand,
  attachCommand,
  logsCommand,
  lsCommand,
  restartCommand,
  drainCommand,
  stopCommand,
  smokeCommand,
  benchCommand,
  planCommand,
  recipeCommand,
  frontendCommand,
  mockerCommand,
  controllerCommand,
  agentCommand,
];
