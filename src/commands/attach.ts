import type { CommandEntry } from './command.ts';

export const attachCommand: CommandEntry = {
  name: 'attach',
  summary: 'Watch a deployment full-screen and act on it; Ctrl-C or q leaves it running',
  example: ['dynamo attach', 'dynamo attach quickstart'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('--no-tui', 'print lines, also on a terminal')
      .action(async (name: string | undefined, flags: { tui?: boolean }) => {
        const { runWatch } = await import('./watch-run.ts');
        await runWatch(name, flags);
      });
  },
};
