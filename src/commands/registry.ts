import { agentCommand } from './agent.ts';
import { attachCommand } from './attach.ts';
import { benchCommand } from './bench.ts';
import { chatCommand } from './chat.ts';
import type { CommandEntry } from './command.ts';
import { completeCommand, completionCommand } from './completion.ts';
import { controllerCommand } from './controller.ts';
import { doctorCommand } from './doctor.ts';
import { drainCommand } from './drain.ts';
import { envCommand } from './env.ts';
import { eventsCommand } from './events.ts';
import { frontendCommand } from './frontend.ts';
import { hostsCommand } from './hosts.ts';
import { initCommand } from './init.ts';
import { logsCommand } from './logs.ts';
import { lsCommand } from './ls.ts';
import { mockerCommand } from './mocker.ts';
import { openCommand } from './open.ts';
import { planCommand } from './plan.ts';
import { recipeCommand } from './recipe.ts';
import { restartCommand } from './restart.ts';
import { scaleCommand } from './scale.ts';
import { serveCommand } from './serve.ts';
import { smokeCommand } from './smoke.ts';
import { statusCommand } from './status.ts';
import { stopCommand } from './stop.ts';
import { versionCommand } from './version.ts';
import { waitCommand } from './wait.ts';

/** Every command, in the order of `dynamo --help`. Registration is this list and nothing else. */
export const COMMANDS: readonly CommandEntry[] = [
  serveCommand,
  statusCommand,
  attachCommand,
  logsCommand,
  eventsCommand,
  waitCommand,
  lsCommand,
  openCommand,
  chatCommand,
  restartCommand,
  scaleCommand,
  drainCommand,
  stopCommand,
  smokeCommand,
  benchCommand,
  planCommand,
  hostsCommand,
  doctorCommand,
  recipeCommand,
  initCommand,
  envCommand,
  versionCommand,
  completionCommand,
  frontendCommand,
  mockerCommand,
  controllerCommand,
  agentCommand,
  completeCommand,
];
