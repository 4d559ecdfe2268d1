import { Argument } from 'commander';
import type { CommandEntry } from './command.ts';
import { WAIT_GOALS, type WaitGoal } from './wait-goals.ts';
import type { WaitFlags } from './wait-run.ts';

export const waitCommand: CommandEntry = {
  name: 'wait',
  summary: 'Wait until a deployment is ready, stopped, or idle (ready, no request in flight, no change under way)',
  example: ['dynamo wait ready quickstart --timeout 5m', 'dynamo wait idle'],
  define(command) {
    command
      .addArgument(new Argument('<state>', 'what to wait for').choices([...WAIT_GOALS]))
      .argument('[name]', 'name of the deployment, which may not be there yet (default: the only one that runs)')
      .option('--timeout <duration>', 'give up after this long', '10m')
      .option('--json', 'print the snapshot as JSON when it is so')
      .action(async (goal: WaitGoal, name: string | undefined, flags: WaitFlags) => {
        const { runWait } = await import('./wait-run.ts');
        await runWait(goal, name, flags);
      });
  },
};
