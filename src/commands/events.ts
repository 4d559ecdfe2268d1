import type { CommandEntry } from './command.ts';
import type { EventsFlags } from './events-run.ts';

export const eventsCommand: CommandEntry = {
  name: 'events',
  summary: 'Print what happened to a deployment and why: starts, exits, restarts, proofs, changes',
  example: ['dynamo events --since 10m', 'dynamo events quickstart -f --json'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('-f, --follow', 'go on with what happens; ends with the deployment')
      .option('--since <time>', 'a time ago (30s, 10m, 2h) or a date and time (default: the newest 50)')
      .option('-n, --tail <count>', 'so many of the newest')
      .option('--json', 'print one JSON object a line')
      .action(async (name: string | undefined, flags: EventsFlags) => {
        const { runEvents } = await import('./events-run.ts');
        await runEvents(name, flags);
      });
  },
};
